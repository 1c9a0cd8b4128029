"""Reads arrays of `.npz` files piece by piece, without unpickling."""

from __future__ import annotations

import struct
import tokenize
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from datasets.spec import FETCH_AGAIN
from system.errors import UserError
from system.files import damage_as_user_error


class Header(NamedTuple):
    """The header of an array. fortran: whether its values are in Fortran order."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype


@contextmanager
def opened(path: Path, remedy: str = FETCH_AGAIN) -> Iterator[NpzFile]:
    """Open a file. Raises UserError, ending in `remedy`, if it is damaged, also while the body reads it."""
    with damage_as_user_error(path, ".npz file", remedy), zipfile.ZipFile(path) as archive:
        yield NpzFile(path, archive, remedy)


class NpzFile:
    """An open `.npz` file. Its methods raise UserError, ending in `remedy`, for missing and damaged arrays."""

    def __init__(self, path: Path, archive: zipfile.ZipFile, remedy: str):
        self.path, self.archive, self.remedy = path, archive, remedy

    def __contains__(self, name: str) -> bool:
        return f"{name}.npy" in self.archive.namelist()

    def stored(self, name: str) -> zipfile.ZipInfo:
        """What the directory of the file says about an array: `CRC`, its checksum, and `file_size`, with the header."""
        if name not in self:
            found = ", ".join(self.archive.namelist())
            raise UserError(f"{self.path}: expected an array {name}, found only {found}: {self.remedy}")
        return self.archive.getinfo(f"{name}.npy")

    def header(self, name: str) -> Header:
        """Read the header of an array."""
        with self.archive.open(self.stored(name)) as member:
            return self._read_header(name, member)

    def read(self, name: str) -> np.ndarray:
        """Read a whole array."""
        try:
            with self.archive.open(f"{name}.npy") as member:
                return np.lib.format.read_array(member, allow_pickle=False)
        except ValueError as error:
            raise UserError(f"{self.path}: {name} cannot be read ({error}): {self.remedy}") from None

    def rows(self, name: str, batch: int) -> Iterator[np.ndarray]:
        """Yields the rows of a uint8 array in C order, `batch` at a time: `[m, ...]`."""
        with self.archive.open(f"{name}.npy") as member:
            count, *shape = self._read_header(name, member).shape
            size = int(np.prod(shape, dtype=np.int64))
            for start in range(0, count, batch):
                wanted = min(batch, count - start)
                read = np.frombuffer(member.read(wanted * size), np.uint8)
                if read.size != wanted * size:
                    found = start + read.size // size
                    raise UserError(f"{self.path}: expected {count} images, found {found}: {self.remedy}")
                yield read.reshape(wanted, *shape)
            member.read()  # zipfile compares the checksum at the end

    def stored_at(self, name: str) -> int | None:
        """The offset in the file of the contents of an array; None if it is compressed."""
        info = self.stored(name)
        if info.compress_type != zipfile.ZIP_STORED:
            return None
        with self.path.open("rb") as handle:
            handle.seek(info.header_offset + 26)
            lengths = struct.unpack("<HH", handle.read(4))  # of the name and the extra field, which follow
            handle.seek(sum(lengths), 1)
            self._read_header(name, handle)
            return handle.tell()

    def _read_header(self, name: str, member) -> Header:
        """Read the header from an open member, whose next byte is then the first of the contents."""
        try:
            version = np.lib.format.read_magic(member)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            return Header(*read(member))
        except (ValueError, SyntaxError, tokenize.TokenError) as error:  # the header is parsed as a Python literal
            raise UserError(f"{self.path}: expected {name} to be a NumPy array ({error}): {self.remedy}") from None
