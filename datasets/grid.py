"""Grids of factors: found in a table of labels, in any order, or required of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from system.errors import UserError


def find_grid(levels: np.ndarray, sizes: Sequence[int]) -> np.ndarray | None:
    """For each row its place in the grid: int64 `[n]`, or None where combinations are missing or repeat.

    Args:
        levels: int64 `[n, K]`, values from 0 to size - 1.
        sizes: of the K factors.
    """
    if not len(sizes) or np.prod(sizes, dtype=np.float64) != len(levels):
        return None
    place = np.ravel_multi_index(tuple(levels.T), tuple(sizes))  # [n]
    return place if (np.bincount(place, minlength=len(place)) == 1).all() else None


def numbered(columns: np.ndarray) -> tuple[np.ndarray, tuple[int, ...]]:
    """Any values `[n, K]` -> int64 `[n, K]`, the values of a column numbered upwards from 0, and how many each has."""
    ranks = [np.unique(column, return_inverse=True) for column in columns.T]
    levels = np.stack([rank for _, rank in ranks], axis=1) if ranks else np.zeros((len(columns), 0), np.int64)
    return levels.astype(np.int64), tuple(len(values) for values, _ in ranks)


def grid_sizes(path: Path, columns: np.ndarray, names: Sequence[str]) -> tuple[int, ...]:
    """Sizes of the K factors whose values, `[n, K]`, are all combinations in row-major order, else UserError."""
    levels, sizes = numbered(columns)  # [n, K]
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
