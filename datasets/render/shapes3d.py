"""Renders the 3D Shapes replica: all 480,000 images from their factors.

The geometry is traced once for each of the 480 combinations of scale, shape and orientation. The channels of the ten
saturated hues take only six values, so the traced image is stored as one layer per material and value. An image is the
sum of the layers selected by its hues. Antialiasing and clipping at white are part of the layers.
"""

from __future__ import annotations

import colorsys
from collections.abc import Iterator
from functools import lru_cache, partial
from itertools import product

import numpy as np

from datasets.render.scene import FLOOR, OBJECT, SKY, WALL, brightness, trace
from datasets.store import in_threads

VERSION = 1  # to increase whenever the rendered pixels change
FACTOR_VALUES = {
    "floor_hue": np.linspace(0, 0.9, 10),
    "wall_hue": np.linspace(0, 0.9, 10),
    "object_hue": np.linspace(0, 0.9, 10),
    "scale": np.linspace(0.75, 1.25, 8),
    "shape": np.arange(4.0),
    "orientation": np.linspace(-30, 30, 15),  # degrees
}
SIZE = 64
SAMPLES = 3  # rays along each side of a pixel
SKY_COLOUR = np.array([153, 226, 249])
_MATERIALS = (FLOOR, WALL, OBJECT)
_LEVELS = np.arange(6) / 5  # values of the channels of the ten hues
COLOURS = np.array([colorsys.hsv_to_rgb(hue, 1, 1) for hue in FACTOR_VALUES["floor_hue"]])  # [hues, channels]
COLOUR_LEVELS = np.round(COLOURS * 5).astype(np.int64)  # [hues, channels], the index of each channel's level
_FIXED = 256  # layers are in fixed point, with this many steps per grey value


def draw(factors: np.ndarray) -> np.ndarray:
    """int `[n, 6]` (classes of floor hue, wall hue, object hue, scale, shape, orientation) -> uint8 `[n, 64, 64, 3]`.

    Raises ValueError if a factor is out of range.
    """
    factors = np.asarray(factors, np.int64).reshape(-1, len(FACTOR_VALUES))  # [n, 6]
    sizes = np.array([len(values) for values in FACTOR_VALUES.values()])
    if ((factors < 0) | (factors >= sizes)).any():
        raise ValueError(f"factors must lie in 0..{(sizes - 1).tolist()}")
    images = np.empty((len(factors), SIZE, SIZE, 3), np.uint8)
    geometry = np.ravel_multi_index(factors[:, 3:].T, sizes[3:])  # [n]
    levels = COLOUR_LEVELS[factors[:, :3]]  # [n, materials, channels]
    for one in np.unique(geometry):
        rows = np.flatnonzero(geometry == one)
        sky, layers = layers_of(*np.unravel_index(one, sizes[3:]))
        total = sky.astype(np.uint32)  # [channels, size, size]
        for material in range(len(_MATERIALS)):
            total = total + layers[material][levels[rows, material]]  # [rows, channels, size, size]
        images[rows] = to_grey(total.astype(np.uint16)).transpose(0, 2, 3, 1)
    return images


@lru_cache(maxsize=480)
def layers_of(scale: int, shape: int, orientation: int) -> tuple[np.ndarray, np.ndarray]:
    """The sky's share uint16 `[channels, size, size]`, the materials' uint16 `[materials, levels, size, size]`."""
    size_factor = FACTOR_VALUES["scale"][scale]
    angle = np.deg2rad(FACTOR_VALUES["orientation"][orientation])
    hits = trace(angle, int(shape), size_factor, SIZE, SAMPLES)
    light, white = brightness(hits, angle, int(shape), size_factor)  # [rays], [rays]
    layers = np.zeros((len(_MATERIALS), len(_LEVELS), SIZE, SIZE), np.uint16)
    for index, material in enumerate(_MATERIALS):
        share = (hits.material == material).astype(float)  # [rays]
        for level, value in enumerate(_LEVELS):
            layers[index, level] = _pixels(share * np.minimum(light * value + white, 1) * 255)
    sky = _pixels((hits.material == SKY).astype(float))[None] * SKY_COLOUR[:, None, None]  # [channels, size, size]
    return sky.astype(np.uint16), layers


def _pixels(rays: np.ndarray) -> np.ndarray:
    """Mean over the rays of every pixel, in fixed point: `[rays]` -> `[size, size]`."""
    return (rays.reshape(SIZE, SAMPLES, SIZE, SAMPLES).mean((1, 3)) * _FIXED).round()


def to_grey(total: np.ndarray) -> np.ndarray:
    """Round from fixed point, uint16 -> uint8. Inputs are at most 255 * 256 plus rounding errors: no overflow."""
    return ((total + _FIXED // 2) // _FIXED).astype(np.uint8)


def _together(room: np.ndarray, solid: np.ndarray) -> np.ndarray:
    """Images of a room and an object, uint16 `[n, channels, size, size]` each: uint8 `[n, size, size, channels]`."""
    return to_grey(room + solid).transpose(0, 2, 3, 1)


def all_images() -> Iterator[np.ndarray]:
    """All images in the order of the factors: uint8 `[480, 64, 64, 3]` of each three hues; uses all cores."""
    geometry = product(*(range(len(values)) for values in list(FACTOR_VALUES.values())[3:]))
    skies, layers = zip(*in_threads(lambda which: layers_of(*which), geometry), strict=True)
    sky, materials = np.stack(skies), np.stack(layers)  # [480, channels, size, size], [480, 3, levels, size, size]

    def paint(material: int, hue: int) -> np.ndarray:
        """A material's share of the images, in one hue: uint16 `[480, channels, size, size]`."""
        return materials[:, _MATERIALS.index(material), COLOUR_LEVELS[hue]]

    hues = range(len(COLOURS))
    solids = [paint(OBJECT, hue) for hue in hues]
    for floor_hue in hues:
        ground = sky + paint(FLOOR, floor_hue)  # [480, channels, size, size]
        for wall_hue in hues:
            room = ground + paint(WALL, wall_hue)  # [480, channels, size, size]
            yield from in_threads(partial(_together, room), solids)
