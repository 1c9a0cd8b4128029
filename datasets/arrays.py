"""User data in an array file, `.npz` or `.h5`, with or without factors (docs/your_data.md).

`images` is uint8 `[n, h, w]` or `[n, h, w, c]` with 1 or 3 channels; optional are `factors` `[n, k]`, integers or
levels, and `factor_names`, k strings. If the factors are a full grid, in any order, the images are sorted into it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from datasets import npz
from datasets.factor_dataset import FactorDataset
from datasets.grid import find_grid, to_levels
from datasets.packing import pack, white
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
    if not path.is_file():  # a pipe would be waited for
        raise UserError(f"--data-path {path} is not a file: {WANTED}")
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
    with _opened(path) as (shape, read, images, sources):
        _check_shape(path, shape)
        names, sizes, levels = _factors(path, shape[0], read)
        channels = channels or (3 if shape[3:] == (3,) else 1)
        places = find_grid(levels, sizes)

        def to_size(image: np.ndarray) -> np.ndarray:
            flat = image[..., 0] if image.shape[2:] == (1,) else image  # [h, w] or [h, w, 3]
            return resized(Image.fromarray(flat), channels, resize, resample)

        packed = pack(
            "arrays",
            sources,
            (resize, resample),
            images,
            to_size,
            shape[0],
            channels,
            places=places,
            progress=progress,
        )
    table = None if places is not None else levels
    shape, pixel_max = (64, 64, channels), white(packed.brightest, path)
    return FactorDataset("arrays", path.name, names, sizes, packed.images, shape, pixel_max, table)


def _check_shape(path: Path, shape: tuple[int, ...]) -> None:
    """Raises UserError unless it is that of images."""
    if len(shape) not in (3, 4) or shape[3:] not in ((), (1,), (3,)) or 0 in shape:
        raise UserError(
            f"{path}: expected images uint8 [n, h, w], [n, h, w, 1] or [n, h, w, 3], found {list(shape)}: {_REMEDY}"
        )
    if len(shape) == 3 and shape[2] in (1, 3):
        raise UserError(
            f"{path}: images {list(shape)} are one picture, or as many as {shape[0]} that are {shape[2]} wide: save "
            "images[None], or wider ones"
        )


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
    return name.decode(errors="backslashreplace") if isinstance(name, bytes) else str(name)


class _Arrays(NamedTuple):
    """The arrays of an open file.

    shape: that of `images`.
    read: reads another array; None if it is missing.
    images: iterates over the images, uint8 `[h, w]` or `[h, w, c]`.
    sources: the file, and others that its arrays lie in.
    """

    shape: tuple[int, ...]
    read: Callable[[str], np.ndarray | None]
    images: Callable[[], Iterable[np.ndarray]]
    sources: list[Path]


@contextmanager
def _opened(path: Path) -> Iterator[_Arrays]:
    """Open the file. Raises UserError if it is damaged, also while the body reads it."""
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

        yield _Arrays(shape, read, lambda: chain.from_iterable(file.rows("images", _BATCH)), [path])


def _from_hdf5(path: Path, file) -> _Arrays:
    import h5py

    arrays = {name: _hdf5_array(path, file, name) for name in ("images", "factors", "factor_names") if name in file}
    if "images" not in arrays:
        raise UserError(f"{path}: expected an array images, found {', '.join(file) or 'nothing'}: {_REMEDY}")
    images = arrays["images"]
    _check_dtype(path, images.dtype, False)
    batch = max(_BATCH, images.chunks[0] if images.chunks else 0)  # unpacks whole chunks once

    def read(name: str) -> np.ndarray | None:
        if name not in arrays:
            return None
        values = np.asarray(arrays[name][()])
        return values if h5py.check_string_dtype(arrays[name].dtype) is None else values.astype("S")

    def pieces() -> Iterator[np.ndarray]:
        return (images[start : start + batch] for start in range(0, len(images), batch))

    others = {other for array in arrays.values() for other in _other_files(path, array)}
    return _Arrays(images.shape, read, lambda: chain.from_iterable(pieces()), [path, *sorted(others)])


def _hdf5_array(path: Path, file, name: str):
    """The array `name` of the open HDF5 file. Raises UserError if this is something else, or leads nowhere."""
    import h5py

    try:
        found = file[name]
    except KeyError as error:
        raise UserError(f"{path}: {name} is a link to what is not there ({error.args[0]}): {_REMEDY}") from None
    if not isinstance(found, h5py.Dataset) or found.shape is None:
        kind = "an empty array" if isinstance(found, h5py.Dataset) else f"a {type(found).__name__.lower()}"
        raise UserError(f"{path}: expected {name} to be an array, found {kind}: {_REMEDY}")
    return found


def _other_files(path: Path, array) -> list[Path]:
    """Other files than `path` that an HDF5 array lies in: by an external link, in external storage, or virtually.

    Raises UserError if one is missing: HDF5 would read zeros.
    """
    lies_in = Path(array.file.filename)
    names = [name for name, *_ in array.external or ()]
    names += [source.file_name for source in array.virtual_sources()] if array.is_virtual else []
    others = [] if lies_in.samefile(path) else [lies_in]
    for name in names:
        if name != ".":  # the file itself
            beside = lies_in.parent / name
            others.append(beside if beside.exists() else Path(name))
    for other in others:
        if not other.is_file():
            raise UserError(f"{path}: {array.name} lies in {other}, which is not there: put it there")
    return others


def _check_dtype(path: Path, dtype: np.dtype, fortran: bool) -> None:
    if dtype != np.uint8:
        raise UserError(f"{path}: expected images uint8 from 0 to 255, found {dtype}: {_REMEDY}")
    if fortran:
        raise UserError(f"{path}: images are in Fortran order: save np.ascontiguousarray(images)")


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
