"""Reads tables of numbers from npz, npy and csv files."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from system.errors import UserError, first_line

INDEX_NAMES = ("", "index", "name", "file")  # headers of a first column that numbers or names the rows


def read_tables(path: Path) -> dict[str, Any]:
    """Read the arrays of a file, by name; npy and csv files have one, named after the file.

    That of a csv file is a pandas table, whose columns have the names of the header. Raises UserError.
    """
    try:
        if path.suffix.lower() == ".csv":
            return {path.stem: read_csv(path)}
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {path.stem: loaded}
        with loaded:
            return {name: loaded[name] for name in loaded.files}
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except UserError:
        raise
    except Exception as error:  # the readers raise many types on damaged files
        # NumPy takes every other format for a pickle, and advises to load it unsafely.
        reason = "damaged, or of another format" if "you trust" in str(error) else first_line(error)
        raise UserError(f"{path}: not a readable npz, npy or csv file of numbers ({reason})") from None


def read_csv(path: Path):
    """Read a csv file: a header that names the columns, then one sample per line, separated by commas.

    Returns: a pandas table of numbers. Raises: ValueError, OSError or UserError if the file cannot be read.
    """
    import pandas

    with warnings.catch_warnings(action="error", category=pandas.errors.ParserWarning):  # longer lines would be cut
        table = pandas.read_csv(path, encoding="utf-8-sig", index_col=False)
    names = ["" if str(name).startswith("Unnamed:") else str(name).strip() for name in table.columns]
    if len(names) > 1 and names[0].lower() in INDEX_NAMES:
        raise UserError(
            f"{path}: its first column is an index; put the rows into the order of the codes, and write them without "
            "it, such as by pandas' to_csv(index=False)"
        )
    if all(map(_is_number, names)):
        raise UserError(f"{path}: has no header; name the columns in its first line")
    if not len(table):
        raise ValueError("no rows of numbers")
    for name, dtype in table.dtypes.items():
        if dtype.kind not in "iufb":
            raise UserError(f"{path}: column {name} holds text; keep numbers with decimal points, separated by commas")
    return table.astype(float)


def _is_number(cell: str) -> bool:
    try:
        float(cell or 0)
    except ValueError:
        return False
    return True
