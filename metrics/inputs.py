"""What a metric accepts: representations `[n, d]` and factors `[n, k]`, checked once, with errors that name the
array.
"""

from __future__ import annotations

import numpy as np

from system.errors import UserError

MAX_LEVELS = 1000


class InputError(UserError, ValueError):
    """Arrays that cannot be scored: wrong shape, dtype or values. A ValueError for library users, one line for the
    CLI.
    """


def as_array(values) -> np.ndarray:
    """A NumPy array from NumPy, torch (any device) or nested lists; nothing is copied where it need not be."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    return np.asarray(values)


def check_representations(representations, name: str = "representations") -> np.ndarray:
    """Anything array-like `[n, d]` -> float32 or float64 `[n, d]`. Raises InputError for other shapes, dtypes, NaN,
    inf.
    """
    codes = as_array(representations)
    if codes.ndim != 2 or 0 in codes.shape:
        raise InputError(
            f"{name}: expected a table [samples, latents] with at least one of each, got shape {codes.shape}"
        )
    if codes.dtype.kind not in "fiub":
        raise InputError(f"{name}: expected real numbers, got dtype {codes.dtype}")
    if codes.dtype not in (np.float32, np.float64):
        codes = codes.astype(np.float32 if codes.dtype == np.float16 else np.float64)  # [n, d]
    if not np.isfinite(codes).all():
        bad = int((~np.isfinite(codes).all(axis=1)).sum())
        raise InputError(f"{name}: {bad} of {len(codes)} rows hold NaN or infinity; remove them or mend the model")
    return codes


def check_factors(factors, name: str = "factors") -> np.ndarray:
    """Anything array-like `[n, k]` -> int64 or float64 `[n, k]`; the distinct values of a column are its classes.

    Raises InputError for other shapes, dtypes, NaN, inf, and for columns of more than 1,000 values: those are no
    factors.
    """
    values = as_array(factors)
    if values.ndim != 2 or 0 in values.shape:
        raise InputError(f"{name}: expected a table [samples, factors] with at least one of each, got {values.shape}")
    if values.dtype.kind not in "iubf":
        raise InputError(f"{name}: expected integers (or a few float levels a column), got dtype {values.dtype}")
    values = values.astype(np.float64 if values.dtype.kind == "f" else np.int64)  # [n, k]
    if not np.isfinite(values).all():
        raise InputError(f"{name}: holds NaN or infinity; every sample needs a value of every factor")
    for column, entries in enumerate(values.T):
        levels = len(np.unique(entries))
        if levels > MAX_LEVELS:
            raise InputError(f"{name}: column {column} has {levels} distinct values; bin it into classes first")
    return values


def check_pair(representations, factors, suffix: str = "") -> tuple[np.ndarray, np.ndarray]:
    """Both tables of one set of samples. Raises InputError where either is wrong or their lengths differ."""
    codes = check_representations(representations, f"representations{suffix}")
    values = check_factors(factors, f"factors{suffix}")
    if len(codes) != len(values):
        raise InputError(f"representations{suffix} have {len(codes)} rows but factors{suffix} have {len(values)}")
    return codes, values


def varying(factors: np.ndarray) -> np.ndarray:
    """Factors `[n, k]` -> indices of the columns that take more than one value: the only ones that a score can
    speak of.
    """
    return np.flatnonzero((factors != factors[:1]).any(axis=0))


def labels(factors: np.ndarray) -> np.ndarray:
    """Factors `[n, k]` -> int64 `[n, k]`: each column's values numbered 0, 1, ... in ascending order."""
    return np.stack([np.unique(column, return_inverse=True)[1] for column in factors.T], axis=1)  # [n, k]
