"""Checks factors `[n, k]`: every column must have few distinct values, which are its classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from metrics.inputs import EDGE, InputError, as_table
from system.levels import merge_rounded

MAX_LEVELS = 1000
WIDEST = 2.0**53  # range of integers that are exact in float64


@dataclass(frozen=True)
class FactorTable:
    """Checked factors: `values` int64 (from 0) or float64 `[n, k]`, k `names`, `left_out` columns int64 `[m]`."""

    values: np.ndarray
    names: tuple[str, ...]
    left_out: np.ndarray


def check_factors(
    factors, *, names: Sequence[str] | None = None, left_out=None, bins: int | Mapping | None = None
) -> FactorTable:
    """Check factors `[n, k]`, array-like, whose distinct values are classes.

    Values that differ by rounding only (float32 among float64) become one class.

    Args:
        names: names of the columns; None: those of a pandas table, else `factor 0`, `factor 1`, ...
        left_out: columns (one or several names or numbers) that `discrete_mig` and `factor_leakage_*` leave out; None:
            nothing. (The reference leaves out the first factor of dSprites and of 3D Shapes; these data sets say so.)
        bins: number of equal-width classes to bin continuous columns into; or name -> classes, for the named columns.

    Raises: InputError for other shapes and dtypes, NaN, infinity, and continuous columns: those with more than half as
        many values as rows, with more than 1,000 values, or if more than half of the values occur only once.
    """
    given = pandas_names(factors) if names is None else [str(column) for column in names]
    values = as_table(factors, "factors", "factors")
    if values.dtype.kind in "iu":
        if np.ptp(values.astype(np.float64), axis=0).max() > WIDEST:
            raise InputError("factors: hold integers more than 2^53 apart; number the classes 0, 1, 2, ...")
        values = values if values.dtype == np.uint64 else values.astype(np.int64)
        values = values - values.min(axis=0)  # no score depends on the offset; small integers are exact in float64
    values = values.astype(np.float64 if values.dtype.kind == "f" else np.int64)  # [n, k]
    names = [f"factor {column}" for column in range(values.shape[1])] if given is None else given
    if len(names) != values.shape[1] or len(set(names)) != len(names):
        raise InputError(f"factors: {values.shape[1]} columns need as many different names, got {', '.join(names)}")
    chosen = _bins_by_column(bins, names)
    columns = [merge_rounded(column) for column in values.T]
    for k, column in enumerate(columns):
        why = continuous(column)
        classes = chosen.get(k, bins if why and not isinstance(bins, Mapping) else None)
        if classes is not None:
            columns[k] = cut(column, classes)
        elif why:
            column_name = f"column {k}" if given is None else names[k]
            raise InputError(
                f"factors: {column_name} is continuous, with {why}; name a number of classes "
                "to cut it into, such as bins=20 (--bins 20)"
            )
    table = np.stack(columns, axis=1)
    return FactorTable(table, tuple(names), left_out_columns(left_out, names, varying(table)))


def pandas_names(factors) -> list[str] | None:
    """The column names of a pandas table; None for other tables, and if the names are 0, 1, 2, ..."""
    names = [str(column) for column in getattr(factors, "columns", ())]
    return None if names == [str(column) for column in range(len(names))] else names


def _bins_by_column(bins: int | Mapping | None, names: Sequence[str]) -> dict[int, int]:
    """Column -> number of classes, for columns named in `bins`. Raises InputError for numbers below 2."""
    by_name = bins if isinstance(bins, Mapping) else {}
    for count in by_name.values() if isinstance(bins, Mapping) else [] if bins is None else [bins]:
        if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 2:
            raise InputError(f"bins is {count!r}: cut a factor into 2 classes or more")
    return {int(columns_of(name, names, "bins (--bins)")[0]): int(count) for name, count in by_name.items()}


def columns_of(wanted, names: Sequence[str], what: str) -> np.ndarray:
    """The indices int64 `[m]` of columns given by one or several names or numbers. Raises InputError if unknown."""
    found = []
    for column in [wanted] if isinstance(wanted, str | int | np.integer) else list(wanted):
        if isinstance(column, str) and column in names:
            found.append(list(names).index(column))
        elif not isinstance(column, str) and 0 <= column < len(names):
            found.append(int(column))
        else:
            raise InputError(f"{what}: there is no factor {column!r}; choose from {', '.join(names)}")
    return np.array(sorted(set(found)), dtype=np.int64)


def left_out_columns(left_out, names: Sequence[str], varying: np.ndarray) -> np.ndarray:
    """The columns int64 `[m]` that `discrete_mig` and `factor_leakage_*` leave out; nothing if no other factor varies.

    Args:
        left_out: one or several names or numbers; None: nothing.
        names: of the factors.
        varying: the columns that vary.

    Raises: InputError for an unknown factor, and if `left_out` names every factor.
    """
    columns = columns_of(() if left_out is None else left_out, names, "left_out (--left-out)")
    if len(columns) == len(names) > 0:
        raise InputError("left_out (--left-out) names every factor: leave at least one to score")
    return columns if len(np.setdiff1d(varying, columns)) else columns[:0]


def continuous(column: np.ndarray) -> str:
    """Why a factor `[n]` counts as continuous; empty if its values can be classes."""
    levels, counts = np.unique(column, return_counts=True)
    found = f"{len(levels)} distinct values in {len(column)} rows"
    if len(levels) == 1:
        return ""
    if len(levels) > MAX_LEVELS or 2 * len(levels) > len(column):
        return found
    alone = int((counts == 1).sum())
    return f"{found}, of which {alone} occur once" if 2 * alone > len(levels) else ""


def cut(column: np.ndarray, bins: int) -> np.ndarray:
    """Bin a factor `[n]` into `bins` bins of equal width over its range: numbers of bins, float64 `[n]`."""
    column = column.astype(np.float64)
    low, high = column.min(), column.max()
    return np.minimum(np.floor((column - low) / (high - low or 1.0) * bins + EDGE), bins - 1)


def varying(factors: np.ndarray) -> np.ndarray:
    """The indices of the columns of factors `[n, k]` that have more than one value."""
    return np.flatnonzero((factors != factors[:1]).any(axis=0))


def labels(factors: np.ndarray) -> np.ndarray:
    """Factors `[n, k]` -> int64 `[n, k]`: the values of each column numbered 0, 1, ... in ascending order."""
    numbered = np.empty(factors.shape, dtype=np.int64)  # [n, k]
    for k, column in enumerate(factors.T):
        numbered[:, k] = np.unique(column, return_inverse=True)[1]
    return numbered


def labels_like(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels int64 `[n]` of one factor in training and test set, `[n]` each; -1 for values not in the training set."""
    levels, first = np.unique(train, return_inverse=True)
    place = np.minimum(np.searchsorted(levels, test), len(levels) - 1)
    return first, np.where(levels[place] == test, place, -1)
