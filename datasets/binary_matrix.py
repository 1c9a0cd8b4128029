"""Two binary formats of arrays: smallNORB's, which is little-endian, and MNIST's IDX, which is big-endian."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from system.errors import UserError

_NORB = {0x1E3D4C55: np.uint8, 0x1E3D4C54: np.int32}  # of the kinds that there are, those that smallNORB has
_IDX = {8: np.uint8}


def read_norb(path: Path, dtype, remedy: str, lazily: bool = False):
    """A matrix in smallNORB's format, packed by gzip or not, of the dtype that is expected.

    Format: int32 magic, int32 dimensions, then at least three int32 sizes (padded with 1), then the values, row-major.

    Returns: the array; lazily, an iterator: first the shape, then each element along the first axis.
    Raises: UserError, ending in `remedy`, where the file is of another kind, damaged, or too short.
    """

    def header(handle: BinaryIO) -> tuple[int, ...]:
        magic, dimensions = np.frombuffer(handle.read(8), "<i4")
        if _NORB.get(int(magic)) != dtype or not 1 <= dimensions <= 4:
            raise ValueError(f"magic number {int(magic):#x}, {dimensions} dimensions")
        sizes = np.frombuffer(handle.read(4 * max(3, int(dimensions))), "<i4")
        return tuple(int(size) for size in sizes[:dimensions])

    rows = _rows(path, header, np.dtype(dtype).newbyteorder("<"), remedy)
    return rows if lazily else _whole(rows)


def read_idx(path: Path, remedy: str) -> Iterator:
    """Rows of an IDX file of uint8, packed by gzip or not: first the shape, then each element along the first axis.

    Format: two zero bytes, a type (8 is uint8), the number of dimensions, that many big-endian int32 sizes, the values.
    Raises UserError, ending in `remedy`, where the file is of another kind, damaged, or too short.
    """

    def header(handle: BinaryIO) -> tuple[int, ...]:
        start = handle.read(4)
        if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in _IDX:
            raise ValueError(f"it starts with {start!r}")
        return tuple(int(size) for size in np.frombuffer(handle.read(4 * start[3]), ">i4"))

    return _rows(path, header, np.dtype(np.uint8), remedy)


def _rows(path: Path, header, dtype: np.dtype, remedy: str) -> Iterator:
    with _damage_told(path, remedy), _opened(path) as handle:
        shape = header(handle)
        yield shape
        size = int(np.prod(shape[1:], dtype=np.int64)) * dtype.itemsize
        for number in range(shape[0]):
            row = handle.read(size)
            if len(row) != size:
                raise ValueError(f"{shape[0]} rows announced, {number} there")
            yield np.frombuffer(row, dtype).reshape(shape[1:])


def _whole(rows: Iterator) -> np.ndarray:
    shape = next(rows)
    return np.array(list(rows)).reshape(shape)


def _opened(path: Path) -> BinaryIO:
    with path.open("rb") as handle:
        packed = handle.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if packed else path.open("rb")


@contextmanager
def _damage_told(path: Path, remedy: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{path}: expected a whole file in the published format, found {error}: {remedy}") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}): check its permissions") from None
