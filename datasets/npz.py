"""Reads arrays of `.npz` files piece by piece, without unpickling; uint8 arrays must be in C order."""

from __future__ import annotations

import struct
import tokenize
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from datasets import array_file
from datasets.array_file import ArrayFile
from datasets.spec import FETCH_AGAIN
from system.errors import UserError
from system.files import damage_as_user_error

MAGIC = b"PK\x03\x04"


@contextmanager
def opened(path: Path, remedy: str = FETCH_AGAIN) -> Iterator[NpzFile]:
    """Open a file. Raises UserError, ending in `remedy`, if it is damaged, also while the body reads it."""
    with damage_as_user_error(path, ".npz file", remedy), zipfile.ZipFile(path) as archive:
        yield NpzFile(path, archive, remedy)


class NpzFile(ArrayFile):
    """An open `.npz` file; `file` is its ZipFile."""

    def __contains__(self, name: str) -> bool:
        return f"{name}.npy" in self.file.namelist()

    def stored(self, name: str) -> zipfile.ZipInfo:
        """What the directory of the file says about an array: `CRC`, its checksum, and `file_size`, with the header."""
        if name not in self:
            found = ", ".join(self.file.namelist())
            raise UserError(f"{self.path}: expected an array {name}, found only {found}: {self.remedy}")
        return self.file.getinfo(f"{name}.npy")

    def header(self, name: str) -> tuple[tuple[int, ...], np.dtype]:
        with self.file.open(self.stored(name)) as member:
            shape, _, dtype = self._read_header(name, member)
        return shape, dtype

    def read(self, name: str) -> np.ndarray:
        try:
            with self.file.open(self.stored(name)) as member:
                return np.lib.format.read_array(member, allow_pickle=False)
        except ValueError as error:
            raise UserError(f"{self.path}: {name} cannot be read ({error}): {self.remedy}") from None

    def rows(self, name: str) -> Iterator[np.ndarray]:
        with self.file.open(self.stored(name)) as member:
            count, *shape = self._start(name, member)
            size = int(np.prod(shape, dtype=np.int64))
            some = max(1, array_file.PIECE // size)
            for start in range(0, count, some):
                wanted = min(some, count - start)
                read = np.frombuffer(member.read(wanted * size), np.uint8)
                if read.size != wanted * size:
                    found = start + read.size // size
                    raise UserError(f"{self.path}: expected {count} images, found {found}: {self.remedy}")
                yield read.reshape(wanted, *shape)
            member.read()  # zipfile compares the checksum at the end

    def stored_at(self, name: str) -> int | None:
        """The offset in the file of the values of an array in C order; None if it is compressed."""
        info = self.stored(name)
        if info.compress_type != zipfile.ZIP_STORED:
            return None
        with self.path.open("rb") as handle:
            handle.seek(info.header_offset + 26)
            lengths = struct.unpack("<HH", handle.read(4))  # of the name and the extra field, which follow
            handle.seek(sum(lengths), 1)
            self._start(name, handle)
            return handle.tell()

    def _start(self, name: str, member) -> tuple[int, ...]:
        """Read up to the first of the values, which must be in C order. Returns the shape."""
        shape, fortran, _ = self._read_header(name, member)
        if fortran:
            raise UserError(f"{self.path}: {name} are in Fortran order: save np.ascontiguousarray({name})")
        return shape

    def _read_header(self, name: str, member) -> tuple[tuple[int, ...], bool, np.dtype]:
        """Shape, whether in Fortran order, and dtype, from an open member."""
        try:
            version = np.lib.format.read_magic(member)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            return read(member)
        except (ValueError, SyntaxError, tokenize.TokenError) as error:  # the header is parsed as a Python literal
            raise UserError(f"{self.path}: expected {name} to be a NumPy array ({error}): {self.remedy}") from None
