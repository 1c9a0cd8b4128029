"""Finds, or requires, a full grid of factors in a table of labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from system.errors import UserError
from system.levels import as_numbers, merge_rounded


def find_grid(levels: np.ndarray, sizes: Sequence[int]) -> np.ndarray | None:
    """The position of each row in the row-major grid: int64 `[n]`; None if combinations are missing or repeated.

    Args:
        levels: int64 `[n, K]`, values from 0 to size - 1.
        sizes: number of values of each of the K factors.
    """
    if not len(sizes) or np.prod(sizes, dtype=np.float64) != len(levels):
        return None
    place = np.ravel_multi_index(tuple(levels.T), tuple(sizes))  # [n]
    return place if (np.bincount(place, minlength=len(place)) == 1).all() else None


def to_levels(columns: np.ndarray) -> tuple[np.ndarray, tuple[int, ...]]:
    """Values `[n, K]` -> ranks int64 `[n, K]` (from 0, per column), and the number of values of each column.

    Texts that are all numbers are ordered as such, and values that differ by rounding only are one level.
    """
    ranks = [np.unique(merge_rounded(as_numbers(column)), return_inverse=True) for column in columns.T]
    levels = np.stack([rank for _, rank in ranks], axis=1) if ranks else np.zeros((len(columns), 0), np.int64)
    return levels.astype(np.int64), tuple(len(values) for values, _ in ranks)


def grid_sizes(path: Path, columns: np.ndarray, official: Mapping[str, int], marked: bool) -> tuple[int, ...]:
    """The sizes of the K factors of an official file, with values `[n, K]`.

    Raises UserError unless they are a grid in row-major order: the `official` one, or any if the file is `marked` as a
    replica or a subset.
    """
    levels, sizes = to_levels(columns)  # [n, K]
    places = find_grid(levels, sizes)
    if places is None:
        raise UserError(
            f"{path}: expected all combinations of its factors, each once ({_listed(official, sizes)}: "
            f"{np.prod(sizes, dtype=np.int64)} rows), found {len(columns)} rows"
        )
    if not (places == np.arange(len(places))).all():
        raise UserError(f"{path}: expected the factors in row-major order, the last one fastest")
    if sizes != tuple(official.values()) and not marked:
        raise UserError(
            f"{path}: expected the official factors ({_listed(official, official.values())}), found "
            f"({_listed(official, sizes)}), and the file does not say that it is a replica or a subset: fetch it again"
        )
    return sizes


def _listed(names: Iterable[str], sizes: Iterable[int]) -> str:
    return ", ".join(f"{name} {size}" for name, size in zip(names, sizes, strict=True))
