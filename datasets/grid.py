"""Finds, or requires, a full grid of factors in a table of labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from system.errors import UserError


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
    """Values `[n, K]` -> ranks int64 `[n, K]` (from 0, per column), and the number of values of each column."""
    ranks = [np.unique(column, return_inverse=True) for column in columns.T]
    levels = np.stack([rank for _, rank in ranks], axis=1) if ranks else np.zeros((len(columns), 0), np.int64)
    return levels.astype(np.int64), tuple(len(values) for values, _ in ranks)


def grid_sizes(path: Path, columns: np.ndarray, names: Sequence[str]) -> tuple[int, ...]:
    """The sizes of the K factors with values `[n, K]`. Raises UserError unless they are a grid in row-major order."""
    levels, sizes = to_levels(columns)  # [n, K]
    count = int(np.prod(sizes, dtype=np.int64))
    if count != len(columns):
        raise UserError(
            f"{path}: expected all combinations of its factors ({_listed(names, sizes)}: {count} rows), "
            f"found {len(columns)} rows"
        )
    for name, column, expected in zip(names, levels.T, np.unravel_index(np.arange(count), sizes), strict=True):
        if not (column == expected).all():
            raise UserError(
                f"{path}: expected the factors in row-major order, the last one fastest; found {name} out of order"
            )
    return sizes


def check_size(path: Path, found: Sequence[int], official: Sequence[int], names: Sequence[str], marked: bool) -> None:
    """Raises UserError unless the file holds the official grid, or is `marked` as a replica or a subset."""
    if tuple(found) != tuple(official) and not marked:
        raise UserError(
            f"{path}: expected the official factors ({_listed(names, official)}), found ({_listed(names, found)}), "
            "and the file does not say that it is a replica or a subset: fetch it again"
        )


def _listed(names: Sequence[str], sizes: Sequence[int]) -> str:
    return ", ".join(f"{name} {size}" for name, size in zip(names, sizes, strict=True))
