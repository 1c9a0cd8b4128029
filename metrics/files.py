"""Tables of numbers in files: npz, npy and csv, as `python -m metrics` takes them."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from system.errors import UserError

INDEX_NAMES = {"", "index", "id"}  # headers of a column that numbers or names the rows


@dataclass
class Table:
    """What a file holds under one name: numbers, the columns' names (csv with a header) and what was taken as what."""

    values: np.ndarray
    names: list[str] | None = None
    taken: str = ""


def read_tables(path: Path, rows: int | None = None) -> dict[str, Table]:
    """Arrays of a file by name (npy, csv: one, named after the file).

    `rows`: how many samples a csv file should hold, where that is known; it tells a header of numbers from a sample.
    Raises UserError where the file cannot be read.
    """
    try:
        if path.suffix == ".csv":
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
    except Exception as error:  # the decoders have no common error for what is damaged
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path}: not a readable npz, npy or csv file of numbers ({reason})") from None


def read_csv(path: Path, rows: int | None = None) -> Table:
    """One sample a line, separated by commas, semicolons or tabs. Raises ValueError, OSError or UserError.

    The first line is a header where it holds a word, or where it numbers the columns and is no sample. A column is the
    index of the rows where it has no header or one such as `index`, or where it counts the rows.
    """
    import pandas

    with open(path, encoding="utf-8-sig", newline="") as file:
        first_line = file.readline()
    separator = max(",;\t", key=first_line.count)
    cells = [cell.strip() for cell in next(csv.reader([first_line], delimiter=separator), [])]
    settings = {"sep": separator, "encoding": "utf-8-sig", "header": None}
    body = pandas.read_csv(path, skiprows=1, names=range(len(cells)), index_col=False, **settings)
    header = _is_header(cells, body, rows)
    if not header:
        body = pandas.read_csv(path, index_col=False, **settings)
    if not len(body):
        raise ValueError("no rows of numbers")
    names = [cell.removeprefix("#").strip() for cell in cells] if header else None
    index = 0 if _is_index(body, names) else None
    shown = "a first line that numbers the columns" if header and _numbers(cells) is not None else "the header"
    taken = [f"{path}: {len(body)} rows", f"{shown} gives the names" if header else "no header"]
    if index is not None:
        body = body.drop(columns=0)
        taken.append(f"the first column{f' ({names[0]})' if names and names[0] else ''} is the index of the rows")
        names = names[1:] if names else None
    for place, column in enumerate(body.columns):
        if body[column].dtype.kind not in "iufb":
            called = names[place] if names else place
            raise UserError(f"{path}: column {called} holds text; keep numbers only, or name it index")
    taken.append(f"columns {', '.join(names)}" if names else f"{body.shape[1]} columns")
    return Table(body.to_numpy(), names, "; ".join(taken))


def _numbers(cells: list[str]) -> np.ndarray | None:
    """The cells as numbers `[columns]`, or None where one is a word. An empty first cell is none of either."""
    try:
        return np.array([float(cell) for cell in (cells[1:] if cells and not cells[0] else cells)])
    except ValueError:
        return None


def _is_header(cells: list[str], body, rows: int | None) -> bool:
    """Whether the first line names the columns: words do; numbers that count them do, unless they are a sample."""
    numbers = _numbers(cells)
    if numbers is None or (cells and not cells[0]):
        return True
    if cells not in ([str(first + place) for place in range(len(cells))] for first in (0, 1)):
        return False
    if rows is not None and rows in (len(body), len(body) + 1):
        return rows == len(body)
    return len(cells) > 1 or not all(body[column].dtype.kind in "iu" for column in body.columns)


def _is_index(body, names: list[str] | None) -> bool:
    """Whether the first of several columns numbers or names the rows."""
    if body.shape[1] < 2 or not len(body):
        return False
    if names and names[0].lower() in INDEX_NAMES | {"unnamed: 0"}:
        return True
    first = body.iloc[:, 0]
    if first.dtype.kind not in "iu" or len(body) < 3:
        return False
    return bool((first.to_numpy() - first.iloc[0] == np.arange(len(body))).all()) and first.iloc[0] in (0, 1)
