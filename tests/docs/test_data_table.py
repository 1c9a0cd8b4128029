"""The table of data sets in docs/data.md is the one that the modules give."""

from pathlib import Path

import pytest

from datasets import DATASETS, find

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "data.md").read_text()


@pytest.mark.parametrize("name", DATASETS)
def test_the_row_of_a_data_set_is_what_its_module_says(name):
    said = find(name).description()
    cells = [said["images"], said["factors"], f"{said['source']}; {said['licence']}", said["checksum"]]
    assert f"| `{name}` | {' | '.join([*cells, said['loader tested on']])} |\n" in PAGE
