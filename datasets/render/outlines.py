"""Outlines of the dSprites shapes as polygons, and polygon filling by the rules of graphics cards.

Both were inferred from official frames; docs/dsprites_replica.md describes how, and how accurate they are.
Coordinates are in image widths from the pivot of a shape, x to the right and y downwards, at scale 1 and orientation 0.
"""

from __future__ import annotations

import numpy as np

_SIZE = 0.15  # half the side of the square; unit of the other shapes
_STRETCH = 1.33  # half axes of the ellipse: _SIZE * _STRETCH and _SIZE / _STRETCH
_ELLIPSE_VERTICES = 100
_HEART_VERTICES = 150
_SUBPIXEL = 256  # vertices are rounded to this fraction of a pixel
_CENTRE = _SUBPIXEL // 2
_FROM = np.array([2**64 - 1 >> i for i in range(65)], np.uint64)  # bits of the pixels of a row from the i-th on


def square() -> np.ndarray:
    """Corners of the square: float64 `[4, 2]`."""
    return _SIZE * np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])


def ellipse() -> np.ndarray:
    """Vertices of the ellipse, which is wider than high: float64 `[100, 2]`."""
    t = 2 * np.pi * np.arange(_ELLIPSE_VERTICES) / _ELLIPSE_VERTICES
    return _SIZE * np.stack([_STRETCH * np.cos(t), np.sin(t) / _STRETCH], axis=1)


def heart() -> np.ndarray:
    """Vertices of the heart, tip down: float64 `[150, 2]`.

    The well-known x = 16 sin^3 t, y = 13 cos t - 5 cos 2t - 2 cos 3t - cos 4t (y upwards), divided by its half width
    16 and by 14.5, about its half height, and raised.
    """
    t = 2 * np.pi * np.arange(_HEART_VERTICES) / _HEART_VERTICES
    height = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return _SIZE * np.stack([np.sin(t) ** 3, -(height / 14.5 + 0.15)], axis=1)


OUTLINES = (square(), ellipse(), heart())


def rotated(outline: np.ndarray, angle: float) -> np.ndarray:
    """Rotate the outline `[v, 2]` by an angle in radians, counter-clockwise on the screen (y downwards)."""
    cosine, sine = np.cos(angle), np.sin(angle)
    return outline @ np.array([[cosine, -sine], [sine, cosine]])  # [v, 2]


def filled_pixels(outline: np.ndarray, pivot_x: np.ndarray, pivot_y: np.ndarray) -> np.ndarray:
    """Fill a polygon in images of 64 x 64, with its pivot at all combinations of `pivot_x` and `pivot_y`.

    Vertices are rounded to 1/256 pixel; a pixel is filled if its centre is inside, or on a left or upper edge.
    After the rounding, all arithmetic is in integers, so that results do not depend on the machine.

    Args:
        outline: vertices in pixels from the pivot, float64 `[v, 2]`.
        pivot_x, pivot_y: pixels from the left and from the top, float64 `[X]` and `[Y]`.

    Returns: uint8 `[X, Y, 64, 64]`, 0 or 1.
    """
    x = np.rint(_SUBPIXEL * (pivot_x[:, None] + outline[:, 0])).astype(np.int64)  # [X, v]
    y = np.rint(_SUBPIXEL * (pivot_y[:, None] + outline[:, 1])).astype(np.int64)  # [Y, v]
    above = y[:, None, :] <= (_SUBPIXEL * np.arange(64) + _CENTRE)[:, None]  # [Y, 64, v]
    at_y, row, start = np.nonzero(
        above != np.roll(above, -1, axis=2)
    )  # [c] edges that cross the line through the pixel centres of a row
    end = (start + 1) % len(outline)
    rise = y[at_y, end] - y[at_y, start]  # [c]
    # An edge crosses this line at x_start + down * run / rise; round up to the next pixel centre.
    down = _SUBPIXEL * row + _CENTRE - y[at_y, start]  # [c]
    scaled = (x[:, start] - _CENTRE) * rise + down * (x[:, end] - x[:, start])  # [X, c]
    first = np.clip(-(-scaled // (_SUBPIXEL * rise)), 0, 64)  # [X, c]
    # A pixel is inside if the number of crossings to its left is odd. Crossings are sorted by (at_y, row).
    lines, starts = np.unique(64 * at_y + row, return_index=True)
    rows = np.zeros((len(x), 64 * len(y)), np.dtype(">u8"))  # [X, Y * 64]
    rows[:, lines] = np.bitwise_xor.reduceat(_FROM[first], starts, axis=1)
    return np.unpackbits(rows.view(np.uint8)).reshape(len(x), len(y), 64, 64)  # [X, Y, 64, 64]
