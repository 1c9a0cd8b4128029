"""The replica of dSprites: every image drawn from its factors, in a file of the published layout.

A pixel is white where the outline covers its centre. Centres of shapes move over half the image in 31 steps of
32 / 31 pixels, so every offset of a pixel's centre from a shape's pivot is a multiple of 1 / 31 pixel (and a half):
a sprite is drawn once on that fine grid, and each of its 32 x 32 positions picks every 31st point of it.
"""

from __future__ import annotations

import os
import zipfile
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tqdm import tqdm

from datasets.files import make_directory, replacing
from datasets.render.every import kept_indices
from datasets.render.outlines import OUTLINES
from errors import UserError

FILE_NAME = "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz"
REPLICA = "replica of dSprites, drawn by datasets/render/dsprites.py; not the published file"
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
_FINE = 31  # points of the fine grid to a pixel
_REACH = 14  # pixels: no outline is farther than this from its pivot at scale 1
_CHUNK = 256  # images that `draw` works on at a time


def draw(factors: np.ndarray) -> np.ndarray:
    """Images of any combinations of factors.

    Args:
        factors: integers `[n, 5]`: indices of shape, scale, orientation, pos_x, pos_y.

    Returns: uint8 `[n, 64, 64, 1]`, 0 or 1. Raises ValueError where a factor is out of its range.
    """
    factors = np.asarray(factors, dtype=np.int64).reshape(-1, len(FACTORS))  # [n, 5]
    for name, size, column in zip(FACTORS, FACTORS.values(), factors.T, strict=True):
        if column.size and not (column.min() >= 0 and column.max() < size):
            raise ValueError(f"factor {name} goes from 0 to {size - 1}, found {column.min()} to {column.max()}")
    images = np.zeros((len(factors), _SIDE, _SIDE), np.uint8)  # [n, 64, 64]
    for shape in range(len(OUTLINES)):
        rows = np.flatnonzero(factors[:, 0] == shape)
        for start in range(0, len(rows), _CHUNK):
            chunk = rows[start : start + _CHUNK]
            _, scale, orientation, pos_x, pos_y = factors[chunk].T[..., None, None]  # each [chunk, 1, 1]
            x = _steps(pos_x[..., 0])[:, None, :]  # [chunk, 1, 64]
            y = _steps(pos_y[..., 0])[:, :, None]  # [chunk, 64, 1]
            images[chunk] = _covered(shape, VALUES["scale"][scale], VALUES["orientation"][orientation], x, y)
    return images[..., None]


def _steps(position: np.ndarray) -> np.ndarray:
    """Fine steps from a pivot to the centres of the pixels of a row or column: positions `[...]` -> int `[..., 64]`.

    The pivot is at 16 + 32 position / 31, a pixel's centre at pixel + 1 / 2: the distance is (step + 1 / 2) / 31.
    """
    return _FINE * np.arange(_SIDE) - 15 * _FINE - 16 - 32 * np.asarray(position).reshape(-1, 1)  # [..., 64]


def _covered(shape: int, scale, orientation, x_steps: np.ndarray, y_steps: np.ndarray) -> np.ndarray:
    """Whether a shape covers the points at these fine steps from its pivot (shapes that broadcast) -> bool."""
    unit = 1 / (_FINE * _SIDE * scale)
    x, y = (x_steps + 0.5) * unit, (y_steps + 0.5) * unit  # image widths at scale 1
    cosine, sine = np.cos(orientation), np.sin(orientation)
    # Rising orientation turns the shape counter-clockwise on the screen; points turn back.
    return OUTLINES[shape](cosine * x - sine * y, sine * x + cosine * y)


def _sprite(shape: int, scale: float, orientation: float, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """One sprite at all positions: fine steps of the columns `[X, 64]` and rows `[Y, 64]` -> uint8 `[X, Y, 64, 64]`."""
    reach = int(np.ceil(_REACH * scale)) * _FINE
    steps = np.arange(-reach, reach)
    fine = np.zeros((2 * reach + 1, 2 * reach + 1), np.uint8)  # the last row and column stay empty
    fine[:-1, :-1] = _covered(shape, scale, orientation, steps[None, :], steps[:, None])
    columns, rows = (np.where((s >= -reach) & (s < reach), s + reach, 2 * reach) for s in (columns, rows))
    images = np.empty((len(columns), len(rows), _SIDE, _SIDE), np.uint8)  # [X, Y, 64, 64]
    for at_x, column in zip(images, columns, strict=True):
        np.take(fine[:, column], rows, axis=0, out=at_x)  # [2 reach + 1, 64] -> [Y, 64, 64]
    return images


def render_file(directory: str | Path, progress: bool = True, every: Mapping[str, int] | None = None) -> Path:
    """Draws the whole set, or every k-th value of some factors, into `directory` under the published file's name.

    The file has the published arrays (imgs, latents_values, latents_classes, metadata) and one more, `replica`, a
    string that says what it is and can be read without unpickling. About 12 MB are held at a time.

    Args:
        every: `{factor: k}`: of this factor only the values 0, k, 2k, ... are drawn.

    Raises: UserError when the directory cannot be written, the disk is full, or `every` names no factor.
    """
    kept = kept_indices(FACTORS, every)
    directory = make_directory(Path(directory), "name a directory that can be written")
    path = directory / FILE_NAME
    try:
        with replacing(path) as handle, zipfile.ZipFile(handle, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            _write(archive, kept, progress)
    except OSError as error:
        raise UserError(f"cannot write {path} ({error.strerror}): name another directory") from None
    return path


def _write(archive: zipfile.ZipFile, kept: dict[str, np.ndarray], progress: bool) -> None:
    values = {"color": VALUES["color"], **dict(zip(list(VALUES)[1:], _values(kept), strict=True))}
    count = int(np.prod([len(v) for v in values.values()]))
    _write_array(archive, "metadata", _metadata(values), allow_pickle=True)
    _write_array(archive, "replica", np.array(REPLICA))
    bar = tqdm(total=count, desc="drawing dSprites", unit=" images", unit_scale=True, disable=not progress)
    with bar, archive.open("imgs.npy", "w", force_zip64=True) as member:
        header = {"descr": "|u1", "fortran_order": False, "shape": (count, _SIDE, _SIDE)}
        np.lib.format.write_array_header_1_0(member, header)
        for images in draw_sprites(kept):
            member.write(images)
            bar.update(images.shape[0] * images.shape[1])
    classes = np.indices([len(v) for v in values.values()]).reshape(len(values), -1).T  # [n, 6]
    _write_array(archive, "latents_classes", np.ascontiguousarray(classes, np.int64))
    columns = [v[classes[:, i]] for i, v in enumerate(values.values())]
    _write_array(archive, "latents_values", np.stack(columns, axis=1))  # [n, 6]


def _values(kept: dict[str, np.ndarray]) -> list[np.ndarray]:
    return [VALUES[name][index] for name, index in zip(list(VALUES)[1:], kept.values(), strict=True)]


def draw_sprites(kept: Mapping[str, np.ndarray]) -> Iterator[np.ndarray]:
    """uint8 `[X, Y, 64, 64]`, one for each kept shape, scale and orientation in order: all their positions.

    The next ones are drawn by other threads while the caller works on one.
    """
    columns, rows = _steps(kept["pos_x"]), _steps(kept["pos_y"])  # [X, 64], [Y, 64]
    sprites = (
        (shape, VALUES["scale"][scale], VALUES["orientation"][orientation], columns, rows)
        for shape in kept["shape"]
        for scale in kept["scale"]
        for orientation in kept["orientation"]
    )
    threads = min(2, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads) as pool:
        ahead: deque = deque()
        for sprite in sprites:
            ahead.append(pool.submit(_sprite, *sprite))
            if len(ahead) > threads:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def _metadata(values: dict[str, np.ndarray]) -> np.ndarray:
    """The dictionary of the published file, under the same keys, as an object array of no dimensions."""
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
