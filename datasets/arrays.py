"""User data in an array file, `.npz` or `.h5`, with or without factors (docs/your_data.md).

`images` is uint8 `[n, h, w]` or `[n, h, w, c]` with 1 or 3 channels; optional are `factors` `[n, k]`, integers or
levels, and `factor_names`, k strings. If the factors are a full grid, in any order, the images are sorted into it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import numpy as np
from PIL import Image

from datasets import npz
from datasets.factor_dataset import FactorDataset
from datasets.grid import find_grid, to_levels
from datasets.packing import pack
from datasets.resizing import RESAMPLE, RESIZE, resized
from datasets.spec import DatasetSpec
from system.errors import UserError
from system.files import damage_as_user_error

WANTED = "name a .npz or .h5 file with an array images"
MAX_LEVELS = 1000  # a column with more values is a measurement, not a factor
_REMEDY = "see docs/your_data.md for the format"
_BATCH = 256  # images read at a time
_HDF5 = b"\x89HDF\r\n\x1a\n"
_ZIP = b"PK\x03\x04"


def check(path: Path) -> None:
    """Raises UserError unless the file starts like a `.npz` or an HDF5 file."""
    if path.is_dir():
        raise UserError(f"--data-path {path} is a folder: {WANTED}, or use --dataset images for a folder of pictures")
    try:
        with path.open("rb") as handle:
            start = handle.read(len(_HDF5))
    except OSError as error:
        raise UserError(f"--data-path {path} cannot be read ({error.strerror}): check its permissions") from None
    if not start.startswith((_HDF5, _ZIP)):
        raise UserError(f"--data-path {path} is neither a .npz nor an HDF5 file (it starts with {start!r}): {WANTED}")


def load(
    path: Path, *, channels: int | None = None, resize: str = "crop", resample: str = "lanczos", progress: bool = True
) -> FactorDataset:
    """Load the images, resized to 64x64, and the factors. Raises UserError if the arrays have another form."""
    with _opened(path) as (shape, read, images):
        if len(shape) not in (3, 4) or shape[3:] not in ((), (1,), (3,)) or 0 in shape:
            raise UserError(
                f"{path}: expected images uint8 [n, h, w], [n, h, w, 1] or [n, h, w, 3], found {list(shape)}: {_REMEDY}"
            )
        names, sizes, levels = _factors(path, shape[0], read)
        channels = channels or (3 if shape[3:] == (3,) else 1)
        places = find_grid(levels, sizes)

        def to_size(image: np.ndarray) -> np.ndarray:
            flat = image[..., 0] if image.shape[2:] == (1,) else image  # [h, w] or [h, w, 3]
            return resized(Image.fromarray(flat), channels, resize, resample)

        packed = pack(
            "arrays",
            [path],
            (resize, resample),
            images,
            to_size,
            shape[0],
            channels,
            places=places,
            progress=progress,
        )
    table = None if places is not None else levels
    pixel_max = 255 if packed.brightest > 1 else 1  # masks of 0 and 1
    return FactorDataset("arrays", path.name, names, sizes, packed.images, (64, 64, channels), pixel_max, table)


def _factors(path: Path, count: int, read: Callable[[str], np.ndarray | None]):
    """Names, sizes and levels int64 `[n, k]` of the factors. Raises UserError if they are not usable as factors."""
    values, given = read("factors"), read("factor_names")
    if values is None:
        return [], [], np.zeros((count, 0), np.int64)
    values = values[:, None] if values.ndim == 1 else values  # [n, k]
    if values.ndim != 2 or len(values) != count or values.dtype.kind not in "iufbUS":
        found = f"{values.dtype} {list(values.shape)}"
        raise UserError(f"{path}: expected factors [{count}, k], integers or levels, found {found}: {_REMEDY}")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise UserError(f"{path}: factors hold NaN or infinity; every image needs a value of every factor")
    names = (
        [f"factor_{k}" for k in range(values.shape[1])] if given is None else [_text(name) for name in given.ravel()]
    )
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
    return name.decode() if isinstance(name, bytes) else str(name)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[tuple[int, ...], Callable, Callable]]:
    """Yields the shape of `images`, a function to read another array (None if missing), one to iterate over images."""
    with path.open("rb") as handle:
        is_hdf5 = handle.read(len(_HDF5)) == _HDF5
    if is_hdf5:
        import h5py

        with damage_as_user_error(path, "HDF5 file", _REMEDY), h5py.File(path, "r") as file:
            yield _from_hdf5(path, file)
        return
    with npz.opened(path, _REMEDY) as file:
        shape, fortran, dtype = file.header("images")
        _check_dtype(path, dtype, fortran)

        def read(name: str) -> np.ndarray | None:
            return file.read(name) if name in file else None

        yield shape, read, lambda: chain.from_iterable(file.rows("images", _BATCH))


def _from_hdf5(path: Path, file) -> tuple[tuple[int, ...], Callable, Callable]:
    if "images" not in file or not hasattr(file["images"], "dtype"):
        raise UserError(f"{path}: expected an array images, found {', '.join(file) or 'nothing'}: {_REMEDY}")
    images = file["images"]
    _check_dtype(path, images.dtype, False)
    batch = max(_BATCH, images.chunks[0] if images.chunks else 0)  # unpacks whole chunks once

    def read(name: str) -> np.ndarray | None:
        values = file[name][()] if name in file else None
        return values.astype("S") if values is not None and values.dtype == object else values  # strings

    pieces = (images[start : start + batch] for start in range(0, len(images), batch))
    return images.shape, read, lambda: chain.from_iterable(pieces)


def _check_dtype(path: Path, dtype: np.dtype, fortran: bool) -> None:
    if dtype != np.uint8 or fortran:
        found = f"{dtype} in Fortran order" if fortran else str(dtype)
        raise UserError(f"{path}: expected images uint8 from 0 to 255, found {found}: {_REMEDY}")


SPEC = DatasetSpec(
    title="your own images in an array, with or without factors",
    images="any number",
    factors="optional; a full grid in any order is recognised",
    source="--data-path FILE.npz or FILE.h5",
    licence="yours",
    tested="files written by the tests",
    load=load,
    options={"channels": (1, 3), "resize": RESIZE, "resample": tuple(RESAMPLE)},
    check=check,
    wanted=WANTED,
)
