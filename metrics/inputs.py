"""Checks and standardises representations `[n, d]`."""

from __future__ import annotations

import numpy as np

from system.errors import UserError

LARGEST = 1e150  # squares of larger codes leave the range of float64
CONVERT = (
    "convert it, such as by .astype(float); number classes that are texts, such as by "
    "numpy.unique(column, return_inverse=True)[1]"
)
EDGE = 1e-5  # in bins; values below an edge by rounding only count as above it
ROUNDING = 4  # a latent whose range is at most this many rounding errors is constant


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


def check_representations(representations, name: str = "representations") -> np.ndarray:
    """Check an array-like `[n, d]`. Returns float32 or float64 `[n, d]`.

    Latents that are constant up to rounding become exactly constant. Raises InputError for other shapes and dtypes,
    NaN, infinity, and absolute values above 1e150.
    """
    codes = as_table(representations, name, "latents")
    nearly = constant(codes)
    if codes.dtype not in (np.float32, np.float64):
        codes = codes.astype(np.float32 if codes.dtype == np.float16 else np.float64)  # [n, d]
    if float(np.abs(codes).max()) > LARGEST:
        raise InputError(f"{name}: hold numbers beyond {LARGEST:.0e}, whose squares overflow; rescale the codes")
    if (codes[:, nearly] != codes[:1, nearly]).any():
        codes = np.where(nearly, codes[:1], codes)
    return codes


def constant(codes: np.ndarray) -> np.ndarray:
    """Which latents of codes `[n, d]` are constant up to the rounding of their dtype: bool `[d]`."""
    low, high = codes.min(axis=0), codes.max(axis=0)  # [d]
    if codes.dtype.kind != "f":
        return low == high
    rounding = np.finfo(codes.dtype).eps * np.maximum(np.abs(low), np.abs(high)).astype(np.float64)  # [d]
    return high.astype(np.float64) - low.astype(np.float64) <= ROUNDING * rounding


def deviations(codes: np.ndarray) -> np.ndarray:
    """Codes `[n, d]` -> their standard deviations (ddof 1) in float64 `[d]`, exactly 0 for constant latents."""
    return np.where(constant(codes), 0.0, codes.std(axis=0, ddof=1, dtype=np.float64))


def standardised(train: np.ndarray, *others: np.ndarray) -> list[np.ndarray]:
    """Standardise codes `[n, d]` of training and other sets with the training mean and deviation, in float64.

    Constant latents become 0. Scale and offset of the codes cause no loss of precision.
    """
    size = np.abs(train).max(axis=0).astype(np.float64)  # [d]
    size = np.where(size > 0, size, 1.0)
    scaled = train / size  # [n, d], within [-1, 1], so that no square overflows or vanishes
    mean = scaled.mean(axis=0)  # [d]
    still = constant(train)
    deviation = np.where(still, np.inf, scaled.std(axis=0))  # [d]
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
