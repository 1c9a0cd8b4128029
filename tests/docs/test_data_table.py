"""The table of data sets in docs/data.md is the one that the modules give."""

from pathlib import Path

from datasets.about import table

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "data.md").read_text()


def test_the_table_is_that_of_the_modules():
    assert table() in PAGE
