"""The outlines of dSprites as polygons, and which pixels a graphics card covers with one.

Both were inferred from official frames; docs/dsprites_replica.md says how, and how far they can be trusted.
Coordinates are in image widths from a shape's pivot, x to the right and y downwards, at scale 1 and orientation 0.
"""

from __future__ import annotations

import numpy as np

_SIZE = 0.15  # half the side of the square, of which the other shapes' sizes are multiples
_STRETCH = 1.33  # the ellipse is this much wider than a circle of that radius, and as much lower
_ELLIPSE_VERTICES = 100
_HEART_VERTICES = 150
_SUBPIXEL = 256  # a graphics card rounds vertices to this fraction of a pixel
_CENTRE = _SUBPIXEL // 2
_FROM = np.array([2**64 - 1 >> i for i in range(65)], np.uint64)  # a row's pixels from the i-th on; 64 in a word


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


def turned(outline: np.ndarray, angle: float) -> np.ndarray:
    """The outline `[v, 2]` turned counter-clockwise, as seen with y downwards, by an angle in radians."""
    cosine, sine = np.cos(angle), np.sin(angle)
    return outline @ np.array([[cosine, -sine], [sine, cosine]])  # [v, 2]


def covered(outline: np.ndarray, pivot_x: np.ndarray, pivot_y: np.ndarray) -> np.ndarray:
    """The pixels of 64 x 64 that a polygon covers, with its pivot at all combinations of columns and rows.

    Vertices are rounded to 1/256 pixel; a pixel is covered where its centre is inside, or on a left or upper edge.
    All of it is in whole numbers, so that nothing depends on how a machine rounds.

    Args:
        outline: vertices in pixels from the pivot, float64 `[v, 2]`.
        pivot_x, pivot_y: pixels from the left and from the top, float64 `[X]` and `[Y]`.

    Returns: uint8 `[X, Y, 64, 64]`, 0 or 1.
    """
    x = np.rint(_SUBPIXEL * (pivot_x[:, None] + outline[:, 0])).astype(np.int64)  # [X, v]
    y = np.rint(_SUBPIXEL * (pivot_y[:, None] + outline[:, 1])).astype(np.int64)  # [Y, v]
    above = y[:, None, :] <= (_SUBPIXEL * np.arange(64) + _CENTRE)[:, None]  # [Y, 64, v]
    at_y, row, start = np.nonzero(above != np.roll(above, -1, axis=2))  # [c] edges that cross the centres of a row
    end = (start + 1) % len(outline)
    rise = y[at_y, end] - y[at_y, start]  # [c]
    # An edge crosses its row's centres at start + down * run / rise; the first pixel from there on is a division.
    down = _SUBPIXEL * row + _CENTRE - y[at_y, start]  # [c]
    scaled = (x[:, start] - _CENTRE) * rise + down * (x[:, end] - x[:, start])  # [X, c]
    first = np.clip(-(-scaled // (_SUBPIXEL * rise)), 0, 64)  # [X, c]
    # A pixel is inside where the number of crossings to its left is odd. Crossings are sorted by column and row.
    lines, starts = np.unique(64 * at_y + row, return_index=True)
    rows = np.zeros((len(x), 64 * len(y)), np.dtype(">u8"))  # [X, Y * 64]
    rows[:, lines] = np.bitwise_xor.reduceat(_FROM[first], starts, axis=1)
    return np.unpackbits(rows.view(np.uint8)).reshape(len(x), len(y), 64, 64)  # [X, Y, 64, 64]
