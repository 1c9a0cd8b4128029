"""The three outlines of dSprites, inferred from published frames: which points of the plane a shape covers.

Coordinates are in image widths from the shape's pivot, x to the right and y downwards, at scale 1 and orientation 0.
docs/dsprites_replica.md says how they were found and how far they can be trusted.
"""

from __future__ import annotations

import numpy as np

SQUARE_HALF_SIDE = 0.14997
ELLIPSE_AXES = (0.199467, 0.112693)
# Half widths of the heart per unit of its curve, to the right and downwards, and how far the curve's origin lies
# above the pivot.
HEART_STRETCH = (0.00937165, 0.01034709)
HEART_RISE = 0.02247427


def square(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Whether the square covers the points: float `[...]`, `[...]` -> bool `[...]`."""
    return (np.abs(x) < SQUARE_HALF_SIDE) & (np.abs(y) < SQUARE_HALF_SIDE)  # [...]


def ellipse(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Whether the ellipse, which is wider than high, covers the points."""
    return np.square(x / ELLIPSE_AXES[0]) + np.square(y / ELLIPSE_AXES[1]) < 1  # [...]


def heart(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Whether the heart, tip down, covers the points.

    Its outline is the well-known x = 16 sin^3 t, y = 13 cos t - 5 cos 2t - 2 cos 3t - cos 4t (y upwards), stretched.
    x rises with t up to pi / 2 and falls after it, so a vertical line meets each half once: at sin t = (x / 16)^(1/3).
    """
    sine = np.cbrt(np.minimum(np.abs(x) / (16 * HEART_STRETCH[0]), 1))  # [...]
    cosine = np.sqrt(1 - sine * sine)  # [...]
    height = -(y + HEART_RISE) / HEART_STRETCH[1]  # [...]
    return (height < _heart_height(cosine)) & (height > _heart_height(-cosine))


def _heart_height(c: np.ndarray) -> np.ndarray:
    """13 cos t - 5 cos 2t - 2 cos 3t - cos 4t as a polynomial of c = cos t."""
    return 4 + c * (19 + c * (-2 + c * (-8 - 8 * c)))  # [...]


OUTLINES = (square, ellipse, heart)
