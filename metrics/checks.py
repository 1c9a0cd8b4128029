"""Checks codes `[n, d]` and factors `[n, k]`, once for all scores, and gives both as float64."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from system.errors import UserError
from system.levels import merge_rounded

LARGEST = 1e30
MAX_LEVELS = 1000
WIDEST = 2.0**53  # range of integers that are exact in float64
ROUNDING = 4  # a latent whose range is at most this many rounding errors is constant
CONVERT = (
    "convert it, such as by .astype(float); number classes that are texts, such as by "
    "numpy.unique(column, return_inverse=True)[1]"
)


class InputError(UserError, ValueError):
    """Raised for arrays that cannot be scored: wrong shape, dtype or values."""


def as_array(values) -> np.ndarray:
    """A NumPy array from NumPy, SciPy, torch (any device and dtype), pandas, lists; without a copy if possible."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        try:
            values = values.numpy()
        except TypeError:  # bfloat16 and other dtypes that NumPy lacks
            values = values.float().numpy()
    if hasattr(values, "toarray"):  # sparse matrices of SciPy
        values = values.toarray()
    return np.asarray(values)


def as_table(values, name: str, columns: str) -> np.ndarray:
    """An array-like as real numbers `[n, columns]`. Raises InputError for other shapes, dtypes, NaN, infinity."""
    if callable(values) and not hasattr(values, "__array__"):
        raise InputError(f"{name}: got a function; encode a data set by metrics.encode(encoder, dataset)")
    try:
        array = as_array(values)
    except (ValueError, TypeError) as error:
        raise InputError(f"{name}: expected a table of numbers [samples, {columns}] ({error})") from None
    if array.ndim != 2 or 0 in array.shape:
        raise InputError(
            f"{name}: expected a table [samples, {columns}] with at least one of each, got shape {array.shape}"
            + ("; of a single column, give values[:, None]" if array.ndim == 1 and array.size else "")
        )
    if array.dtype.kind not in "fiub":
        raise InputError(f"{name}: expected real numbers, got dtype {array.dtype}; {CONVERT}")
    if np.ma.is_masked(values):
        raise InputError(f"{name}: some values are masked; remove these rows")
    if not np.isfinite(array).all():
        bad = int((~np.isfinite(array).all(axis=1)).sum())
        raise InputError(f"{name}: {bad} of {len(array)} rows hold NaN or infinity; remove these rows or fix the model")
    return array


def check_codes(codes, name: str = "codes") -> np.ndarray:
    """Check an array-like `[n, d]`. Returns float64 `[n, d]`.

    Latents that are constant up to the rounding of their dtype become exactly constant. Raises InputError for other
    shapes and dtypes, NaN, infinity, and absolute values above 1e30.
    """
    given = as_table(codes, name, "latents")
    table = np.array(given, dtype=np.float64, order="C")  # [n, d], a copy
    if np.abs(table).max() > LARGEST:
        raise InputError(f"{name}: hold numbers beyond {LARGEST:.0e}; rescale the codes")
    low, high = table.min(axis=0), table.max(axis=0)  # [d]
    rounding = np.finfo(given.dtype).eps if given.dtype.kind == "f" else 0.0
    nearly = (high > low) & (high - low <= ROUNDING * rounding * np.maximum(np.abs(low), np.abs(high)))  # [d]
    table[:, nearly] = table[:1, nearly]
    return table


def check_factors(factors, names: Sequence[str] | None = None) -> np.ndarray:
    """Check factors `[n, k]`, array-like, whose distinct values are classes. Returns float64 `[n, k]`.

    Values that differ by rounding only (float32 among float64) become one class. names: of the columns, for messages.

    Raises: InputError for other shapes and dtypes, NaN, infinity, and continuous columns: those with more than half as
        many values as rows, with more than 1,000 values, or if more than half of the values occur only once.
    """
    table = as_table(factors, "factors", "factors")
    if table.dtype.kind in "iu":
        if np.ptp(table.astype(np.float64), axis=0).max() > WIDEST:
            raise InputError("factors: hold integers more than 2^53 apart; number the classes 0, 1, 2, ...")
        table = table if table.dtype == np.uint64 else table.astype(np.int64)
        table = table - table.min(axis=0)  # no score depends on the offset; small integers are exact in float64
    called = list(getattr(factors, "columns", range(table.shape[1]))) if names is None else names
    columns = [merge_rounded(column) for column in table.astype(np.float64).T]
    for column, column_name in zip(columns, called, strict=True):
        if why := continuous(column):
            raise InputError(
                f"factors: column {column_name} is continuous, with {why}; cut it into classes, such as by "
                "pandas.cut(column, 20, labels=False)"
            )
    return np.ascontiguousarray(np.stack(columns, axis=1))


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


def check_same_rows(first, second, names: str) -> None:
    """Raise InputError if two tables have different numbers of rows, or are of pandas with different indices."""
    rows = [len(as_array(table)) for table in (first, second)]
    if rows[0] != rows[1]:
        raise InputError(f"{names}: {rows[0]} and {rows[1]} rows; give the rows of the same samples")
    if hasattr(first, "iloc") and hasattr(second, "iloc") and not first.index.equals(second.index):
        raise InputError(
            f"{names}: pandas tables with different indices; align them, for example by "
            "factors.loc[codes.index], or drop the indices by .to_numpy()"
        )


def check_tables(codes, factors, codes_test=None, factors_test=None) -> list[np.ndarray]:
    """Check codes and factors, and those of a test set if given: 2 or 4 tables, float64. Raises InputError."""
    whole, classes = as_table(codes, "codes", "latents"), as_table(factors, "factors", "factors")
    check_same_rows(codes, factors, "codes and factors")
    if codes_test is None and factors_test is None:
        return [check_codes(codes), check_factors(factors)]
    more = as_table(codes_test, "codes of the test set", "latents")
    more_classes = as_table(factors_test, "factors of the test set", "factors")
    check_same_rows(codes_test, factors_test, "codes and factors of the test set")
    for what, train, test in (("latents", codes, codes_test), ("factors", factors, factors_test)):
        if as_array(train).shape[1] != as_array(test).shape[1]:
            raise InputError(f"the test set has another number of {what} than the training set")
        if list(getattr(train, "columns", ())) != list(getattr(test, "columns", ())):
            raise InputError(f"the {what} of the test set are other columns, or in another order")
    rows = len(whole)
    z = check_codes(np.concatenate([whole, more]))  # [n + m, d]
    f = check_factors(np.concatenate([classes, more_classes]))  # [n + m, k]
    return [z[:rows], f[:rows], z[rows:], f[rows:]]


def takes_tables(function: Callable[..., dict[str, float]]) -> Any:
    """Check the codes and factors that a score takes first; `function.__wrapped__` is the score without checks."""

    @functools.wraps(function)
    def checked(codes, factors, codes_test=None, factors_test=None, **options):
        given = () if codes_test is None and factors_test is None else (codes_test, factors_test)
        return function(*check_tables(codes, factors, *given), **options)

    return checked


def constant(codes: np.ndarray) -> np.ndarray:
    """Which latents of checked codes `[n, d]` are constant: bool `[d]`."""
    return codes.min(axis=0) == codes.max(axis=0)


def deviations(codes: np.ndarray) -> np.ndarray:
    """Codes `[n, d]` -> their standard deviations (ddof 1) `[d]`, exactly 0 for constant latents."""
    still = constant(codes)
    return np.zeros(len(still)) if still.all() else np.where(still, 0.0, codes.std(axis=0, ddof=1))


def standardised(train: np.ndarray, *others: np.ndarray) -> list[np.ndarray]:
    """Standardise codes `[n, d]` of training and other sets with the training mean and deviation.

    Constant latents become 0. Scale and offset of the codes cause no loss of precision.
    """
    size = np.abs(train).max(axis=0)  # [d]
    size = np.where(size > 0, size, 1.0)
    scaled = train / size  # [n, d], within [-1, 1], so that no square vanishes
    mean = scaled.mean(axis=0)  # [d]
    deviation = np.where(constant(train), np.inf, scaled.std(axis=0))  # [d]
    return [(codes / size - mean) / deviation for codes in (train, *others)]


def for_trees(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Standardise codes `[n, d]` of training and test set for scikit-learn's trees.

    These treat values closer than 1e-7 as equal, so latents are scaled to a deviation of 1e6. Constant latents are
    removed, since they would change the random order in which splits are tried (a collapsed code keeps one).

    Returns: both sets `[n, active]`, and the latents kept `[active]`.
    """
    kept = np.flatnonzero(~constant(train))
    kept = kept if len(kept) else np.zeros(1, dtype=np.int64)
    train, test = standardised(train[:, kept], test[:, kept])  # [n, active] each
    limit = float(np.finfo(np.float32).max)
    return 1e6 * train, np.clip(1e6 * test, -limit, limit), kept


def varying(factors: np.ndarray, left_out: Sequence[int] = ()) -> np.ndarray:
    """The columns of factors `[n, k]` with more than one value, but for those `left_out`, unless no other varies."""
    some = np.flatnonzero((factors != factors[:1]).any(axis=0))
    rest = np.setdiff1d(some, left_out)
    return rest if len(rest) else some


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


def halves(*tables: np.ndarray, random_state=0) -> list[np.ndarray]:
    """Random halves of the rows of codes and factors, as training and test set: four tables."""
    mixed = np.random.default_rng(random_state).permutation(len(tables[0]))
    middle = (len(mixed) + 1) // 2
    train, test = mixed[:middle], mixed[middle:] if middle < len(mixed) else mixed
    return [table[rows] for rows in (train, test) for table in tables]
