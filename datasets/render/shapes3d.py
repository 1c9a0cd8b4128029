"""Renders the 3D Shapes replica: all 480,000 images from their factors, in the official layout.

The geometry is traced once for each of the 480 combinations of scale, shape and orientation. The channels of the ten
saturated hues take only six values, so the traced image is stored as one layer per material and value. An image is the
sum of the layers selected by its hues. Antialiasing and clipping at white are part of the layers.
"""

from __future__ import annotations

import colorsys
import os
import re
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import product
from pathlib import Path

import numpy as np
from tqdm import tqdm

from datasets.conversion import images_bar
from datasets.render import kept_indices, replica_path
from datasets.render.scene import FLOOR, OBJECT, SKY, WALL, brightness, trace
from datasets.shapes3d import FILE
from system.errors import UserError
from system.files import partial_path, replacing

FILE_NAME = FILE.name
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
CHUNK = 16  # side in pixels of a chunk; chunks of many images are compressed together, per channel
REPLICA = (
    "Drawn from the factors by this project's ray caster, fitted to look like the published 3D Shapes: "
    "same factors, order and layout, but not the published pixels."
)
SKY_COLOUR = np.array([153, 226, 249])
_MATERIALS = (FLOOR, WALL, OBJECT)
_LEVELS = np.arange(6) / 5  # values of the channels of the ten hues
COLOURS = np.array([colorsys.hsv_to_rgb(hue, 1, 1) for hue in FACTOR_VALUES["floor_hue"]])  # [hues, channels]
COLOUR_LEVELS = np.round(COLOURS * 5).astype(np.int64)  # [hues, channels], the index of each channel's level
_FIXED = 256  # layers are in fixed point, with this many steps per grey value
_COMPRESSION = 1


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


def render_file(directory: str | Path, progress: bool = True, every: Mapping[str, int] | None = None) -> Path:
    """Render `3dshapes.h5` into the directory: images uint8 `[n, 64, 64, 3]` and labels float64 `[n, 6]`.

    The attribute `replica` of the file marks it as a replica. Rendering all images takes about 0.7 GB of memory. An
    existing replica is overwritten, any other file is not.

    Args:
        every: `{factor: k}`: render only the values 0, k, 2k, ... of this factor.

    Returns: the path of the file.
    Raises: UserError if the directory is not writable, the disk is full, another file has the name, or `every` names an
        unknown factor; no incomplete file is left.
    """
    kept = list(kept_indices({name: len(values) for name, values in FACTOR_VALUES.items()}, every).values())
    path = replica_path(directory, FILE_NAME, _is_replica)
    with replacing(path, partial_path(path)) as temporary:
        try:
            _write(temporary, kept, progress)
        except (OSError, RuntimeError) as error:
            remedy = "name a directory with 1.5 GB free that can be written"
            raise UserError(f"cannot write {path} ({_reason(error)}): {remedy}") from None
    return path


def _reason(error: OSError | RuntimeError) -> str:
    """Why h5py could not write, in one line: the message of the system, from errno or quoted in that of HDF5."""
    if number := getattr(error, "errno", None):
        return os.strerror(number)
    quoted = re.search("error message = '([^']+)'", str(error))
    return quoted[1] if quoted else " ".join(str(error).split())


def _is_replica(path: Path) -> bool:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return "replica" in file.attrs
    except OSError:
        return False


def _write(path: Path, kept: list[np.ndarray], progress: bool) -> None:
    import h5py

    count = int(np.prod([len(classes) for classes in kept]))
    values = [column[classes] for column, classes in zip(FACTOR_VALUES.values(), kept, strict=True)]
    labels = np.stack(np.meshgrid(*values, indexing="ij"), axis=-1).reshape(count, len(kept))  # [n, 6]
    layers = _all_layers(kept[3:], progress)
    per_hue = len(layers[0])
    with h5py.File(path, "w") as file:
        file.attrs["replica"] = REPLICA
        file.create_dataset("labels", data=labels)
        shape, chunk = (count, SIZE, SIZE, 3), (per_hue, CHUNK, CHUNK, 1)
        images = file.create_dataset("images", shape, np.uint8, chunks=chunk, compression=_COMPRESSION)
        with images_bar(None, count, "drawing 3D Shapes", progress) as bar:
            for index, packed in enumerate(_packed(layers, kept[:3])):
                for place, data in packed:
                    images.id.write_direct_chunk((index * per_hue, *place), data)
                bar.update(per_hue)


def _all_layers(kept: list[np.ndarray], progress: bool) -> tuple[np.ndarray, np.ndarray]:
    """`layers_of` for all kept geometry, g of it: `[g, channels, size, size]`, `[g, materials, levels, size, size]`."""
    bar = tqdm(list(product(*kept)), desc="tracing 3D Shapes", unit=" scenes", disable=not progress)
    skies, layers = zip(*(layers_of(*combination) for combination in bar), strict=True)
    return np.stack(skies), np.stack(layers)


def _packed(layers: tuple[np.ndarray, np.ndarray], kept: list[np.ndarray]) -> Iterator[list[tuple[tuple, bytes]]]:
    """Yields, for all kept hues in order, the compressed chunks of the images of all geometry; uses all cores.

    Pieces at the same position of several images are compressed together. They are more similar than the pieces of one
    image: the file is a third of the size that chunks of whole images give.
    """
    sky, materials = layers
    places = [(y, x, c) for y in range(0, SIZE, CHUNK) for x in range(0, SIZE, CHUNK) for c in range(3)]

    def paint(material: int, hue: int) -> np.ndarray:
        """A material's share of the images, in one hue: uint16 `[g, channels, size, size]`."""
        return materials[:, _MATERIALS.index(material), COLOUR_LEVELS[hue]]

    def pack(room: np.ndarray, solid: np.ndarray) -> list[tuple[tuple, bytes]]:
        images = to_grey(room + solid)  # [g, channels, size, size]
        pieces = (np.ascontiguousarray(images[:, c, y : y + CHUNK, x : x + CHUNK]) for y, x, c in places)
        return list(zip(places, (zlib.compress(piece.data, _COMPRESSION) for piece in pieces), strict=True))

    solids = [paint(OBJECT, hue) for hue in kept[2]]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for floor_hue in kept[0]:
            ground = sky + paint(FLOOR, floor_hue)  # [g, channels, size, size]
            for wall_hue in kept[1]:
                room = ground + paint(WALL, wall_hue)  # [g, channels, size, size]
                yield from pool.map(pack, [room] * len(solids), solids)
