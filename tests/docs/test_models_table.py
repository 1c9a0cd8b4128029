"""docs/models.md says of every model what its class says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from models import MODELS, model_class, settings_read
from models.settings import SETTINGS
from models.vae import VAE

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "models.md"
TABLE = [
    [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
    for line in DOCUMENT.read_text(encoding="utf-8").split("\n\n")[2].splitlines()[2:]
]


def flags(text: str) -> set[str]:
    return set(re.findall(r"--[\w-]+", text))


def test_the_table_has_a_row_for_every_model_in_their_order() -> None:
    assert [row[0] for row in TABLE] == [f"`{name}`" for name in MODELS]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row[0].strip("`"))
def test_a_row_says_what_the_class_says(row: list[str]) -> None:
    name, _, equation, own, lacking, source, _ = row
    name, shared = name.strip("`"), set(VAE.arguments())
    assert equation == f"`{MODELS[name].equation or model_class(name).equation}`"
    assert flags(own) == {SETTINGS[read].flag for read in settings_read(name) - shared}
    assert flags(lacking) == {SETTINGS[missing].flag for missing in shared - settings_read(name)}
    assert re.search(r"\d{4}", source)
