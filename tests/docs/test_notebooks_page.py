"""The lines of docs/notebooks.md run, one block after the other, on a run of the command line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

import main
from system.errors import UserError
from tests.test_trainer import run

PAGE = Path(__file__).resolve().parents[2] / "docs" / "notebooks.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def version(small_dsprites, narrow_networks, cheap_pictures, tmp_path_factory) -> Path:
    log = tmp_path_factory.mktemp("logs")
    run(small_dsprites, log, "--model=beta_shapes", "--max-steps=2", "--seed=1", "--end-metrics=no")
    return log / "version_0"


def test_the_documented_lines_run(version):
    names: dict = {}
    for block in BLOCKS:
        code = block.replace("logs/version_0", str(version)).replace("range(2000)", "range(100)")
        exec(code, names)
    assert names["z"].shape == (100, 3)
    assert not names["model"].training and len(names["dataset"]) == 120
    assert torch.equal(names["codes"][:100], names["z"])
    assert names["run"].args["seed"] == 1 and "traversals" in names["run"].pictures
    assert len(names["run"].scalars)


def test_a_run_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(UserError, match="holds neither args.json"):
        main.load_model(tmp_path)
    with pytest.raises(UserError, match="--epochs"):
        main.load_model(tmp_path, "--epochs=many")


def test_loading_leaves_the_random_generators_as_they_are(version):
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    main.load_model(version)
    assert torch.equal(torch.rand(2), expected)
