"""Renders the dSprites replica: every image from its factors."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from datasets.render.outlines import OUTLINES, filled_pixels, rotated
from datasets.store import in_threads

VERSION = 1  # to increase whenever the rendered pixels change
FACTORS = {"shape": 3, "scale": 6, "orientation": 40, "pos_x": 32, "pos_y": 32}
VALUES = {
    "color": np.array([1.0]),
    "shape": np.array([1.0, 2.0, 3.0]),
    "scale": np.linspace(0.5, 1, 6),
    "orientation": np.linspace(0, 2 * np.pi, 40),
    "posX": np.linspace(0, 1, 32),
    "posY": np.linspace(0, 1, 32),
}
_SIDE = 64  # pixels of an image


def draw(factors: np.ndarray) -> np.ndarray:
    """Render images of the given factors.

    Args:
        factors: integers `[n, 5]`: indices of shape, scale, orientation, pos_x, pos_y.

    Returns: uint8 `[n, 64, 64, 1]`, 0 or 1. Raises ValueError if a factor is out of range.
    """
    factors = np.asarray(factors, dtype=np.int64).reshape(-1, len(FACTORS))  # [n, 5]
    for name, size, column in zip(FACTORS, FACTORS.values(), factors.T, strict=True):
        if column.size and not (column.min() >= 0 and column.max() < size):
            raise ValueError(f"factor {name} goes from 0 to {size - 1}, found {column.min()} to {column.max()}")
    images = np.empty((len(factors), _SIDE, _SIDE), np.uint8)  # [n, 64, 64]
    sprites, which = np.unique(factors[:, :3], axis=0, return_inverse=True)  # [sprites, 3], [n]
    for number, sprite in enumerate(sprites):
        rows = np.flatnonzero(which == number)
        pos_x, at_x = np.unique(factors[rows, 3], return_inverse=True)
        pos_y, at_y = np.unique(factors[rows, 4], return_inverse=True)
        shape, scale, orientation = sprite
        images[rows] = _draw_sprite(shape, scale, orientation, pos_x, pos_y)[at_x, at_y]
    return images[..., None]


def _draw_sprite(shape: int, scale: int, orientation: int, pos_x: np.ndarray, pos_y: np.ndarray) -> np.ndarray:
    """Render one sprite at all combinations of positions `[X]` and `[Y]`: uint8 `[X, Y, 64, 64]`."""
    # Within the central half of the image; x and y have the same values.
    pivot_x, pivot_y = (_SIDE * (0.25 + VALUES["posX"][p] / 2) for p in (pos_x, pos_y))
    outline = rotated(OUTLINES[shape], VALUES["orientation"][orientation])
    return filled_pixels(_SIDE * VALUES["scale"][scale] * outline, pivot_x, pivot_y)


def packed_images() -> Iterator[np.ndarray]:
    """All images in the order of the factors, eight pixels per byte: uint8 `[1024, 512]` of each sprite."""
    positions = np.arange(FACTORS["pos_x"])  # x and y have as many

    def sprite(which: tuple[int, ...]) -> np.ndarray:
        shape, scale, orientation = which
        images = _draw_sprite(shape, scale, orientation, positions, positions)  # [32, 32, 64, 64]
        return np.packbits(images.reshape(-1, _SIDE * _SIDE), axis=1)

    return in_threads(sprite, product(*(range(FACTORS[name]) for name in ("shape", "scale", "orientation"))), 8)
