"""Reads tables of numbers from npz, npy and csv files."""

from __future__ import annotations

import csv
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from system.errors import UserError, first_line

INDEX_NAMES = {"", "index", "id", "unnamed: 0"}  # headers of a column that numbers or names the rows


@dataclass
class Table:
    """An array of a file.

    For csv files, names: of the columns, from the header; taken: how the file was interpreted, as text; index: names or
    numbers of the rows `[n]`. left_out: names of factors that some scores leave out, of a run's codes.npz.
    """

    values: np.ndarray
    names: list[str] | None = None
    taken: str = ""
    index: np.ndarray | None = None
    left_out: list[str] | None = None


def read_tables(path: Path, rows: int | None = None) -> dict[str, Table]:
    """Read the arrays of a file, by name; npy and csv files have one, named after the file.

    Args:
        rows: expected number of samples of a csv file, to distinguish a header of numbers from a sample; None: unknown.

    Raises: UserError if the file cannot be read.
    """
    try:
        if path.suffix.lower() == ".csv":
            return {path.stem: read_csv(path, rows)}
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {path.stem: Table(loaded)}
        with loaded:
            return {name: Table(loaded[name]) for name in loaded.files}
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except UserError:
        raise
    except Exception as error:  # the readers raise many types on damaged files
        # NumPy takes every other format for a pickle, and advises to load it unsafely.
        reason = "damaged, or of another format" if "you trust" in str(error) else first_line(error)
        raise UserError(f"{path}: not a readable npz, npy or csv file of numbers ({reason})") from None


def read_csv(path: Path, rows: int | None = None) -> Table:
    """Read a csv file with one sample per line, separated by commas, semicolons or tabs.

    The first line is a header if it contains a word, or if it numbers the columns and is not a sample. The first column
    is an index if its header is empty or a name such as `index`, or if it counts the rows. A repeated `id` is none.

    Raises: ValueError, OSError or UserError if the file cannot be read.
    """
    import pandas

    with open(path, encoding="utf-8-sig", newline="") as file:
        first = file.readline()
    separator = max(",;\t", key=first.count)
    cells = [cell.strip() for cell in next(csv.reader([first], delimiter=separator), [])]
    settings = {"sep": separator, "encoding": "utf-8-sig", "header": None}
    with warnings.catch_warnings():
        warnings.simplefilter("error", pandas.errors.ParserWarning)  # raised if it would drop columns without a name
        try:
            body = pandas.read_csv(path, skiprows=1, names=range(len(cells)), index_col=False, **settings)
        except pandas.errors.ParserWarning:
            raise UserError(f"{path}: its rows have more cells than its first line; name every column there") from None
    header = _is_header(cells, body, rows)
    if not header:
        body = pandas.read_csv(path, index_col=False, **settings)
    if not len(body):
        raise ValueError("no rows of numbers")
    names = [cell.removeprefix("#").strip() for cell in cells] if header else None
    index = body[0].to_numpy() if _is_index(body, names) else None
    shown = "a first line that numbers the columns" if header and _numbers(cells) is not None else "the header"
    taken = [f"{path}: {len(body)} rows", f"{shown} gives the names" if header else "no header"]
    if index is not None:
        body = body.drop(columns=0)
        taken.append(f"the first column{f' ({names[0]})' if names and names[0] else ''} is the index of the rows")
        names = names[1:] if names else None
    for place, column in enumerate(body.columns):
        if body[column].dtype.kind not in "iufb":
            called = names[place] if names else place
            raise UserError(f"{path}: column {called} holds text; {_remedy(body[column])}")
    body = body.astype(dict.fromkeys(body.select_dtypes(bool), np.int64))  # True and False are 1 and 0
    taken.append(f"columns {', '.join(names)}" if names else f"{body.shape[1]} columns")
    return Table(body.to_numpy(), names, "; ".join(taken), index)


def _remedy(column) -> str:
    """What to do about a column of text."""
    cells = column.dropna().astype(str).str.strip()
    if cells.str.fullmatch(r"[-+]?\d+[,;][-+]?\d+").any():
        return "write decimal points instead of commas"
    if cells.str.fullmatch(r"[-+.\deE]+(\s+[-+.\deE]+)+").any():
        return "separate the columns by commas, semicolons or tabs"
    return "keep numbers only, or name it index"


def _numbers(cells: list[str]) -> np.ndarray | None:
    """The cells as numbers `[columns]`; None if one is not a number. An empty first cell is ignored."""
    try:
        return np.array([float(cell) for cell in (cells[1:] if cells and not cells[0] else cells)])
    except ValueError:
        return None


def _is_header(cells: list[str], body, rows: int | None) -> bool:
    """Whether the first line is a header: if it contains words, or numbers the columns and is not a sample."""
    numbers = _numbers(cells)
    if numbers is None or (cells and not cells[0]):
        return True
    if cells not in ([str(first + place) for place in range(len(cells))] for first in (0, 1)):
        return False
    if rows is not None and rows in (len(body), len(body) + 1):
        return rows == len(body)
    return len(cells) > 1 or not all(body[column].dtype.kind in "iu" for column in body.columns)


def _is_index(body, names: list[str] | None) -> bool:
    """Whether the first of several columns is an index of the rows."""
    if body.shape[1] < 2:
        return False
    if names and names[0].lower() in INDEX_NAMES:
        return names[0].lower() != "id" or body[0].is_unique  # else the identity of what the images show: a factor
    return len(body) > 2 and counts_rows(body.iloc[:, 0].to_numpy())


def counts_rows(column: np.ndarray) -> bool:
    """Whether a column `[n]` counts the rows, from 0 or 1."""
    return (
        column.dtype.kind in "iu" and column[0] in (0, 1) and bool((column - column[0] == np.arange(len(column))).all())
    )
