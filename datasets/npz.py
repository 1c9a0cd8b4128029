"""Reads arrays of `.npz` files piece by piece, without unpickling."""

from __future__ import annotations

import struct
import tokenize
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from datasets.files import FETCH_AGAIN, damage_as_user_error
from system.errors import UserError

Header = tuple[tuple[int, ...], bool, np.dtype]  # shape, whether in Fortran order, dtype


@contextmanager
def opened(path: Path, remedy: str = FETCH_AGAIN) -> Iterator[zipfile.ZipFile]:
    """Open an archive. Raises UserError, ending in `remedy`, if it is damaged, also while the body reads it."""
    with damage_as_user_error(path, ".npz file", remedy), zipfile.ZipFile(path) as archive:
        yield archive


def header(path: Path, archive: zipfile.ZipFile, name: str, remedy: str = FETCH_AGAIN) -> Header:
    """Read the header of an array: shape, order, dtype. Raises UserError if the array is missing."""
    if f"{name}.npy" not in archive.namelist():
        raise UserError(f"{path}: expected an array {name}, found only {', '.join(archive.namelist())}: {remedy}")
    with archive.open(f"{name}.npy") as member:
        return read_header(path, name, member, remedy)


def read_header(path: Path, name: str, member, remedy: str = FETCH_AGAIN) -> Header:
    """Read the header from an open member, whose next byte is then the first of the contents."""
    try:
        version = np.lib.format.read_magic(member)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        return read(member)
    except (ValueError, SyntaxError, tokenize.TokenError) as error:  # the header is parsed as a Python literal
        raise UserError(f"{path}: expected {name} to be a NumPy array ({error}): {remedy}") from None


def rows(
    path: Path, archive: zipfile.ZipFile, name: str, batch: int, remedy: str = FETCH_AGAIN
) -> Iterator[np.ndarray]:
    """Yields the rows of a uint8 array in C order, `batch` at a time: `[m, ...]`. Raises UserError if truncated."""
    with archive.open(f"{name}.npy") as member:
        (count, *shape), _, _ = read_header(path, name, member, remedy)
        size = int(np.prod(shape, dtype=np.int64))
        for start in range(0, count, batch):
            wanted = min(batch, count - start)
            read = np.frombuffer(member.read(wanted * size), np.uint8)
            if read.size != wanted * size:
                raise UserError(f"{path}: expected {count} images, found {start + read.size // size}: {remedy}")
            yield read.reshape(wanted, *shape)
        member.read()  # zipfile compares the checksum at the end


def stored_at(path: Path, archive: zipfile.ZipFile, name: str, remedy: str = FETCH_AGAIN) -> int | None:
    """The offset in the file of the contents of an array; None if it is compressed."""
    info = archive.getinfo(f"{name}.npy")
    if info.compress_type != zipfile.ZIP_STORED:
        return None
    with path.open("rb") as handle:
        handle.seek(info.header_offset + 26)
        lengths = struct.unpack("<HH", handle.read(4))  # of the name and the extra field, which follow
        handle.seek(sum(lengths), 1)
        read_header(path, name, handle, remedy)
        return handle.tell()
