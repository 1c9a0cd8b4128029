"""Reads tables of numbers from npz, npy and csv files."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from system.errors import UserError, first_line

INDEX_NAMES = ("", "index", "name", "file")  # headers of a first column that numbers or names the rows


@dataclass
class Table:
    """An array of a file. Of csv files also the `names` of the columns, and the `index` that names the rows `[n]`."""

    values: np.ndarray
    names: list[str] | None = None
    index: np.ndarray | None = None


def read_tables(path: Path) -> dict[str, Table]:
    """Read the arrays of a file, by name; npy and csv files have one, named after the file. Raises UserError."""
    try:
        if path.suffix.lower() == ".csv":
            return {path.stem: read_csv(path)}
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


def read_csv(path: Path) -> Table:
    """Read a csv file: a header that names the columns, then one sample per line, separated by commas.

    A first column whose header is empty, `index`, `name` or `file` is the index of the rows.

    Raises: ValueError, OSError or UserError if the file cannot be read.
    """
    import pandas

    with open(path, encoding="utf-8-sig", newline="") as file:
        names = [cell.strip() for cell in next(csv.reader(file), [])]
    if names and all(map(_is_number, names)):
        raise UserError(f"{path}: has no header; name the columns in its first line")
    body = pandas.read_csv(path, encoding="utf-8-sig", header=0, names=names, index_col=False)
    if not len(body):
        raise ValueError("no rows of numbers")
    index = None
    if len(names) > 1 and names[0].lower() in INDEX_NAMES:
        index, body, names = body.iloc[:, 0].to_numpy(), body.iloc[:, 1:], names[1:]
    for name, dtype in zip(names, body.dtypes, strict=True):
        if dtype.kind not in "iufb":
            raise UserError(
                f"{path}: column {name} holds text; keep numbers with decimal points, separated by commas, or name a "
                "first column of file names index"
            )
    return Table(body.to_numpy(dtype=np.float64), names, index)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def counts_rows(index: np.ndarray) -> bool:
    """Whether an index `[n]` counts the rows, from 0 or 1."""
    return index.dtype.kind in "iu" and index[0] in (0, 1) and bool((index - index[0] == np.arange(len(index))).all())


def aligned(table: Table, codes: Table, arrays: dict[str, Table], which: str) -> np.ndarray:
    """The rows of a table that belong to the codes, in their order: `[n, k]`.

    A table without an index is taken as it is. One with an index is aligned by the index of the codes' csv file, or by
    the arrays of the codes' npz file: `names` if the index is of names, such as file names, else `index`, the numbers
    of the images. An index that counts the rows is the order of the codes, unless these are
    of numbered images.

    Raises: UserError if the codes have nothing to align it by; if one of them has no row, or several.
    """
    if table.index is None:
        return table.values
    counts = counts_rows(table.index)
    if counts and "index" not in arrays and (codes.index is None or counts_rows(codes.index)):
        return table.values
    key = "index" if table.index.dtype.kind in "iu" else "names"
    wanted = codes.index if codes.index is not None else arrays[key].values if key in arrays else None
    if wanted is None:
        raise UserError(f"{which} has an index, and the codes have none: put its rows into their order, without index")
    keys, rows = wanted.astype(str).tolist(), table.index.astype(str).tolist()
    if not set(keys) <= set(rows):
        keys, rows = ([Path(name).name for name in names] for names in (keys, rows))  # without their folders
    place = {name: row for row, name in enumerate(rows)}
    missing = [name for name in keys if name not in place]
    if missing or len(place) < len(rows) or len(set(keys)) < len(keys):
        what = f"has no row {missing[0]}" if missing else "names a row twice"
        raise UserError(f"{which} {what}: its index must name each of the {len(keys)} samples of the codes once")
    return table.values[[place[name] for name in keys]]
