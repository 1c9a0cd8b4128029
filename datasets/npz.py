"""Arrays in `.npz` files, read without unpickling and without holding more than a piece of them."""

from __future__ import annotations

import struct
import tokenize
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from datasets.files import FETCH_AGAIN, damage_told
from system.errors import UserError

Header = tuple[tuple[int, ...], bool, np.dtype]  # shape, whether in Fortran order, dtype


@contextmanager
def opened(path: Path, remedy: str = FETCH_AGAIN) -> Iterator[zipfile.ZipFile]:
    """The archive. Raises UserError, ending in `remedy`, where it is not whole, also while the body reads it."""
    with damage_told(path, ".npz file", remedy), zipfile.ZipFile(path) as archive:
        yield archive


def header(path: Path, archive: zipfile.ZipFile, name: str, remedy: str = FETCH_AGAIN) -> Header:
    """Shape, order and dtype of an array of the file, without its contents. Raises UserError where there is none."""
    if f"{name}.npy" not in archive.namelist():
        raise UserError(f"{path}: expected an array {name}, found only {', '.join(archive.namelist())}: {remedy}")
    with archive.open(f"{name}.npy") as member:
        return read_header(path, name, member, remedy)


def read_header(path: Path, name: str, member, remedy: str = FETCH_AGAIN) -> Header:
    """The header at the beginning of an open member, which then stands at the contents."""
    try:
        version = np.lib.format.read_magic(member)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        return read(member)
    except (ValueError, SyntaxError, tokenize.TokenError) as error:  # the header is read as Python's literals
        raise UserError(f"{path}: expected {name} to be a NumPy array ({error}): {remedy}") from None


def read_exactly(member, size: int) -> bytes:
    """So many bytes, or what is left."""
    parts = []
    while size and (part := member.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def rows(
    path: Path, archive: zipfile.ZipFile, name: str, together: int, remedy: str = FETCH_AGAIN
) -> Iterator[np.ndarray]:
    """Pieces of `together` rows of an array in C order, uint8 `[m, ...]`. Raises UserError where it is cut short."""
    with archive.open(f"{name}.npy") as member:
        (count, *shape), _, _ = read_header(path, name, member, remedy)
        size = int(np.prod(shape, dtype=np.int64))
        for start in range(0, count, together):
            wanted = min(together, count - start)
            read = np.frombuffer(read_exactly(member, wanted * size), np.uint8)
            if read.size != wanted * size:
                raise UserError(f"{path}: expected {count} images, found {start + read.size // size}: {remedy}")
            yield read.reshape(wanted, *shape)
        member.read()  # to the end, where the archive's checksum is compared


def stored_at(path: Path, archive: zipfile.ZipFile, name: str, remedy: str = FETCH_AGAIN) -> int | None:
    """Where in the file the contents of an array begin, if it is stored as it is; None if it is compressed."""
    info = archive.getinfo(f"{name}.npy")
    if info.compress_type != zipfile.ZIP_STORED:
        return None
    with path.open("rb") as handle:
        handle.seek(info.header_offset + 26)
        lengths = struct.unpack("<HH", handle.read(4))  # of the name and the extra field behind the local header
        handle.seek(sum(lengths), 1)
        read_header(path, name, handle, remedy)
        return handle.tell()
