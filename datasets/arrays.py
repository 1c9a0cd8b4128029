"""User data in an array file, `.npz` or `.h5`, with or without factors (docs/your_data.md).

`images` is uint8 `[n, h, w]` or `[n, h, w, c]` with 1 or 3 channels; optional are `factors` `[n, k]`, integers or
levels, and `factor_names`, k strings. If the factors are a full grid, in any order, the images are sorted into it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from datasets.array_file import HDF5_MAGIC, NPZ_MAGIC, ArrayFile, hdf5, npz
from datasets.assemble import stored_images
from datasets.factor_dataset import FactorDataset
from datasets.files import first_bytes
from datasets.grid import find_grid, to_levels
from datasets.resizing import RESIZE, Range, resized
from datasets.spec import DatasetSpec
from datasets.store import named
from system.errors import UserError

WANTED = "name a .npz or .h5 file with an array images"
MAX_LEVELS = 1000  # a column with more values is a measurement, not a factor
_REMEDY = "see docs/your_data.md for the format"


def check(path: Path) -> None:
    """Raises UserError unless the file starts like a `.npz` or an HDF5 file."""
    if path.is_dir():
        raise UserError(f"--data-path {path} is a folder: {WANTED}, or use --dataset images for a folder of pictures")
    if not path.is_file():  # a pipe would be waited for
        raise UserError(f"--data-path {path} is not a file: {WANTED}")
    start = first_bytes(path, len(HDF5_MAGIC))
    if not start.startswith((HDF5_MAGIC, NPZ_MAGIC)):
        raise UserError(f"--data-path {path} is neither a .npz nor an HDF5 file (it starts with {start!r}): {WANTED}")


def load(path: Path, *, channels: int | None = None, resize: str = "crop", progress: bool = True) -> FactorDataset:
    """Load the images, resized to 64x64, and the factors. Raises UserError if the arrays have another form."""
    opened = hdf5 if first_bytes(path, len(HDF5_MAGIC)) == HDF5_MAGIC else npz
    with opened(path, _REMEDY) as file:
        shape = _checked_shape(path, *file.header("images"))
        names, sizes, levels = _factors(file, shape[0])
        channels = channels or (3 if shape[3:] == (3,) else 1)
        places = find_grid(levels, sizes)
        values = Range()

        def images() -> Iterator[np.ndarray]:
            values.find((False, partial(_largest, some)) for some in file.rows("images"))
            yield from chain.from_iterable(file.rows("images"))

        def to_size(image: np.ndarray) -> np.ndarray:
            return resized(image, channels, resize, mask=values.mask)

        how: dict[str, Any] = {"places": places, "said": values.said, "progress": progress}
        stored = stored_images("arrays", [path], resize, images(), to_size, shape[0], channels, **how)
    table = None if places is not None else levels
    source = named(path, zlib.crc32(levels.tobytes(), stored.note["crc32"]))
    return FactorDataset("arrays", source, names, sizes, stored.images, factors=table)


def _largest(values: np.ndarray) -> int:
    return int(values.max())


def _checked_shape(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> tuple[int, ...]:
    """The shape. Raises UserError unless it and the dtype are those of images."""
    if dtype != np.uint8:
        raise UserError(f"{path}: expected images uint8 from 0 to 255, found {dtype}: {_REMEDY}")
    if len(shape) not in (3, 4) or shape[3:] not in ((), (1,), (3,)) or 0 in shape:
        raise UserError(
            f"{path}: expected images uint8 [n, h, w], [n, h, w, 1] or [n, h, w, 3], found {list(shape)}: {_REMEDY}"
        )
    if len(shape) == 3 and shape[2] in (1, 3):
        raise UserError(
            f"{path}: images {list(shape)} are one picture, or as many as {shape[0]} that are {shape[2]} wide: save "
            "images[None], or wider ones"
        )
    return shape


def _factors(file: ArrayFile, count: int) -> tuple[list[str], Sequence[int], np.ndarray]:
    """Names, sizes and levels int64 `[n, k]` of the factors. Raises UserError if they are not usable as factors."""
    if "factors" not in file:
        return [], [], np.zeros((count, 0), np.int64)
    path, values = file.path, file.read("factors")
    values = values[:, None] if values.ndim == 1 else values  # [n, k]
    if values.ndim != 2 or len(values) != count or values.dtype.kind not in "iufbUS":
        found = f"{values.dtype} {list(values.shape)}"
        raise UserError(f"{path}: expected factors [{count}, k], integers or levels, found {found}: {_REMEDY}")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise UserError(f"{path}: factors hold NaN or infinity; every image needs a value of every factor")
    names = [f"factor_{k}" for k in range(values.shape[1])]
    if "factor_names" in file:
        names = [_text(name) for name in file.read("factor_names").ravel()]
    if len(names) != values.shape[1] or len(set(names)) != len(names):
        raise UserError(f"{path}: expected {values.shape[1]} different names, found {', '.join(names)}: {_REMEDY}")
    levels, sizes = to_levels(values)
    for name, size in zip(names, sizes, strict=True):
        if size > MAX_LEVELS or (2 * size > count and find_grid(levels, sizes) is None):
            raise UserError(
                f"{path}: the factor {name} has {size} values in {count} images, too many to be classes: bin it into a "
                "few levels, or leave it out"
            )
    return names, sizes, levels


def _text(name) -> str:
    return name.decode(errors="backslashreplace") if isinstance(name, bytes) else str(name)


SPEC = DatasetSpec(
    title="your own images in an array, with or without factors",
    images="any number",
    factors="optional; a full grid in any order is recognised",
    source="--data-path FILE.npz or FILE.h5",
    licence="yours",
    tested="files written by the tests",
    load=load,
    options={"channels": (1, 3), "resize": RESIZE},
    check=check,
    wanted=WANTED,
)
