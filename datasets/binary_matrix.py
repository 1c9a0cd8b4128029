"""Two binary formats of arrays: smallNORB's, which is little-endian, and MNIST's IDX, which is big-endian."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from datasets.files import damage_told

REMEDY = "move it away and fetch it again"
_NORB = {b"\x55\x4c\x3d\x1e": "<u1", b"\x54\x4c\x3d\x1e": "<i4"}  # of its kinds, those that smallNORB has
_IDX = b"\0\0\x08"  # uint8


def read_rows(path: Path, dtype: str = "u1") -> Iterator:
    """A file in either format, packed by gzip or not: first the shape, then each element along the first axis.

    smallNORB: magic, int32 dimensions, at least three int32 sizes (padded with 1), then the values, row-major.
    IDX: two zero bytes, a type, the number of dimensions in a byte, that many big-endian int32 sizes, the values.

    Raises: UserError where the file is of another kind or dtype, damaged, or too short.
    """
    with damage_told(path, "file in the official format", REMEDY, also=(ValueError,)), _opened(path) as handle:
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
        yield shape
        size = int(np.prod(shape[1:], dtype=np.int64)) * np.dtype(dtype).itemsize
        for number in range(shape[0]):
            row = handle.read(size)
            if len(row) != size:
                raise ValueError(f"{shape[0]} rows announced, {number} there")
            yield np.frombuffer(row, f"<{dtype}").reshape(shape[1:])


def read_matrix(path: Path, dtype: str) -> np.ndarray:
    """All of a small file."""
    rows = read_rows(path, dtype)
    shape = next(rows)
    return np.array(list(rows)).reshape(shape)


def _integers(handle: BinaryIO, kind: str, count: int) -> tuple[int, ...]:
    """Raises ValueError where there are fewer, or one that cannot be a size."""
    found = np.frombuffer(handle.read(4 * count), kind)
    if len(found) != count or (found < 0).any():
        raise ValueError("its header cannot be read")
    return tuple(found.tolist())


def _opened(path: Path) -> BinaryIO:
    with path.open("rb") as handle:
        packed = handle.read(2) == b"\x1f\x8b"
    return cast(BinaryIO, gzip.open(path, "rb")) if packed else path.open("rb")  # gzip's file has no common base
