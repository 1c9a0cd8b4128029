"""Renders the dSprites replica: every image from its factors, in a file of the official layout."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from itertools import product
from pathlib import Path

import numpy as np

from datasets.conversion import write_images
from datasets.dsprites import FACTORS, FILE
from datasets.packing import map_in_threads
from datasets.render import kept_indices, replica_path
from datasets.render.outlines import OUTLINES, filled_pixels, rotated
from system.files import partial_path, replacing

FILE_NAME = FILE.name
REPLICA = "replica of dSprites, drawn by datasets/render/dsprites.py; not the published file"
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


def render_file(directory: str | Path, progress: bool = True, every: Mapping[str, int] | None = None) -> Path:
    """Render the data set into a file with the official name in `directory`.

    The file has the official arrays (imgs, latents_values, latents_classes, metadata) and a string `replica`, which
    marks it as a replica and can be read without unpickling. About 40 MB of images are in memory at a time. An existing
    replica is overwritten, any other file is not. Hold `making(path)`.

    Args:
        every: `{factor: k}`: render only the values 0, k, 2k, ... of this factor.

    Returns: the path of the file.
    Raises: UserError if the directory is not writable, the disk is full, another file has the name, or `every` names an
        unknown factor.
    """
    kept = kept_indices(FACTORS, every)
    path = replica_path(directory, FILE_NAME, _is_replica)
    with (
        replacing(path, partial_path(path)) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
    ):
        _write(archive, kept, progress)
    return path


def _is_replica(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return "replica.npy" in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def _write(archive: zipfile.ZipFile, kept: dict[str, np.ndarray], progress: bool) -> None:
    every = zip(VALUES.items(), [np.zeros(1, np.int64), *kept.values()], strict=True)  # one colour, then the factors
    values = {name: column[index] for (name, column), index in every}
    count = int(np.prod([len(v) for v in values.values()]))
    _write_array(archive, "metadata", _metadata(values), allow_pickle=True)
    _write_array(archive, "replica", np.array(REPLICA))

    def sprite(which: tuple[int, int, int]) -> np.ndarray:
        return _draw_sprite(*which, kept["pos_x"], kept["pos_y"]).reshape(-1, _SIDE, _SIDE)  # [X * Y, 64, 64]

    sprites = map_in_threads(sprite, product(kept["shape"], kept["scale"], kept["orientation"]), at_once=8)
    with archive.open("imgs.npy", "w", force_zip64=True) as member:
        write_images(member, (count, _SIDE, _SIDE), sprites, "drawing dSprites", progress)
    classes = np.indices([len(v) for v in values.values()]).reshape(len(values), -1).T  # [n, 6]
    _write_array(archive, "latents_classes", np.ascontiguousarray(classes, np.int64))
    columns = [v[classes[:, i]] for i, v in enumerate(values.values())]
    _write_array(archive, "latents_values", np.stack(columns, axis=1))  # [n, 6]


def _metadata(values: dict[str, np.ndarray]) -> np.ndarray:
    """The metadata dictionary, with the keys of the official file, as an object array without dimensions."""
    return np.array(
        {
            "title": "Replica of the dSprites dataset",
            "description": REPLICA,
            "author": "none: drawn by a program",
            "version": 1,
            "date": "",
            "replica": True,
            "latents_names": tuple(values),
            "latents_sizes": np.array([len(v) for v in values.values()]),
            "latents_possible_values": values,
        },
        dtype=object,
    )


def _write_array(archive: zipfile.ZipFile, name: str, array: np.ndarray, allow_pickle: bool = False) -> None:
    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array(member, array, allow_pickle=allow_pickle)
