"""Reads two binary array formats: that of smallNORB (little-endian) and IDX of MNIST (big-endian)."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from system.files import damage_as_user_error

REMEDY = "move it away and fetch it again"
_NORB = {b"\x55\x4c\x3d\x1e": "<u1", b"\x54\x4c\x3d\x1e": "<i4"}  # the dtypes that smallNORB uses
_IDX = b"\0\0\x08"  # uint8


def read_shape(path: Path, dtype: str = "u1") -> tuple[int, ...]:
    """The shape of the array in a file, which may be compressed by gzip. Raises UserError as `read_rows`."""
    with _opened(path, dtype) as (shape, _):
        return shape


def read_rows(path: Path, dtype: str = "u1") -> Iterator[np.ndarray]:
    """Yields the rows of the array along its first axis.

    Raises: UserError if the file has another format or dtype, is damaged, or too short.
    """
    with _opened(path, dtype) as (shape, handle):
        size = int(np.prod(shape[1:], dtype=np.int64)) * np.dtype(dtype).itemsize
        for number in range(shape[0]):
            row = handle.read(size)
            if len(row) != size:
                raise ValueError(f"{shape[0]} rows announced, {number} there")
            yield np.frombuffer(row, f"<{dtype}").reshape(shape[1:])


@contextmanager
def _opened(path: Path, dtype: str) -> Iterator[tuple[tuple[int, ...], BinaryIO]]:
    """The shape of the array, and the file, of which its values come next.

    smallNORB: magic, int32 number of dimensions, at least three int32 sizes (padded with 1), values in row-major order.
    IDX: two zero bytes, type byte, number of dimensions in a byte, big-endian int32 sizes, values in row-major order.
    """
    wrong = (ValueError, MemoryError, OverflowError)  # of what is announced
    with damage_as_user_error(path, "file in the official format", REMEDY, also=wrong):
        with path.open("rb") as handle:
            packed = handle.read(2) == b"\x1f\x8b"
        with cast(BinaryIO, gzip.open(path) if packed else path.open("rb")) as handle:  # GzipFile is not a BinaryIO
            start = handle.read(4)
            if start[:3] == _IDX and len(start) == 4 and dtype == "u1":
                shape = _integers(handle, ">i4", start[3])
            elif _NORB.get(start, "")[1:] == dtype:
                (dimensions,) = _integers(handle, "<i4", 1)
                shape = _integers(handle, "<i4", min(max(3, dimensions), 5))[:dimensions]
            else:
                raise ValueError(f"it starts with {start!r}")
            if not 1 <= len(shape) <= 4:
                raise ValueError(f"{len(shape)} dimensions")
            yield shape, handle


def _integers(handle: BinaryIO, kind: str, count: int) -> tuple[int, ...]:
    """Read sizes. Raises ValueError if there are too few, or a negative one."""
    found = np.frombuffer(handle.read(4 * count), kind)
    if len(found) != count or (found < 0).any():
        raise ValueError("its header cannot be read")
    return tuple(found.tolist())
