"""The values of a factor of variation: which of them are one level, and in what order."""

from __future__ import annotations

import math

import numpy as np


def as_numbers(column: np.ndarray) -> np.ndarray:
    """A column of texts `[n]`, str or bytes, as numbers `[n]` if every value is a finite one; other columns unchanged.

    So "10" comes after "2", and "01" is the level of "1". Integers beyond 64 bits stay exact: they become ranks.
    """
    if column.dtype.kind not in "SU":
        return column
    texts, place = np.unique(column, return_inverse=True)
    numbers: list[int] | list[float]
    try:
        numbers = [int(text) for text in texts.tolist()]
    except ValueError:
        try:
            numbers = [float(text) for text in texts.tolist()]
        except ValueError:
            return column
        return np.array(numbers)[place] if all(map(math.isfinite, numbers)) else column
    if max(map(abs, numbers), default=0) < 2**63:
        return np.array(numbers, np.int64)[place]
    rank = {number: i for i, number in enumerate(sorted(set(numbers)))}
    return np.array([rank[number] for number in numbers])[place]


def merge_rounded(column: np.ndarray) -> np.ndarray:
    """Make values of a factor `[n]` equal that differ by rounding only; texts and integers are not changed.

    The tolerance is that of float32 if all larger gaps between values are at least 1,000 times as wide as all gaps
    below it; else that of float64.
    """
    if column.dtype.kind != "f":
        return column
    levels = np.unique(column)
    if len(levels) < 2 or (levels == np.rint(levels)).all():
        return column
    gaps, size = np.diff(levels), np.abs(levels).max()  # [levels - 1], []
    rounding = 4 * np.finfo(np.float32).eps * size
    small, wide = gaps[gaps <= rounding], gaps[gaps > rounding]
    if not (len(small) and len(wide) and 1000 * small.max() < wide.min()):
        rounding = 4 * np.finfo(np.float64).eps * size
    first = np.append(True, gaps > rounding)  # [levels], whether a new class starts
    merged = levels[first][np.cumsum(first) - 1]  # [levels]
    return merged[np.searchsorted(levels, column)]
