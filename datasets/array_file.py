"""Reads arrays of `.npz` and HDF5 files piece by piece, without unpickling; uint8 arrays must be in C order."""

from __future__ import annotations

import math
import struct
import tokenize
import zipfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datasets.spec import FETCH_AGAIN
from system.errors import UserError
from system.files import damage_as_user_error

NPZ_MAGIC, HDF5_MAGIC = b"PK\x03\x04", b"\x89HDF\r\n\x1a\n"
PIECE = 2**24  # bytes read at a time
MOST = 2**48  # bytes of an array; no disk holds more
_KINDS = {"uint8": np.uint8, "integers": np.signedinteger, "floats": np.floating}


@dataclass
class ArrayFile:
    """An open file. Its methods raise UserError, ending in `remedy`, for missing and damaged arrays."""

    path: Path
    file: Any
    remedy: str

    def __contains__(self, name: str) -> bool:
        raise NotImplementedError

    def header(self, name: str) -> tuple[tuple[int, ...], np.dtype]:
        """Shape and dtype of an array."""
        raise NotImplementedError

    def read(self, name: str) -> np.ndarray:
        """Read a whole array. Texts may be bytes."""
        raise NotImplementedError

    def rows(self, name: str) -> Iterator[np.ndarray]:
        """Yields the rows of a uint8 array, some at a time: `[m, ...]`."""
        raise NotImplementedError

    def require(self, name: str, kind: str, *shape: int | None) -> int:
        """The length of an array. Raises UserError unless it has this shape (None: any size) and is of this kind."""
        found, dtype = self.header(name)
        fits = len(found) == len(shape) and all(a in (None, b) for a, b in zip(shape, found, strict=True))
        if fits and np.issubdtype(dtype, _KINDS[kind]):
            return found[0]
        expected = ", ".join("n" if size is None else str(size) for size in shape)
        raise UserError(f"{self.path}: expected {name} {kind} [{expected}], found {dtype} {list(found)}: {self.remedy}")


@contextmanager
def npz(path: Path, remedy: str = FETCH_AGAIN) -> Iterator[NpzFile]:
    """Open a `.npz` file. Raises UserError, ending in `remedy`, if it is damaged, also while the body reads it."""
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
            some = max(1, PIECE // size)
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
            shape, fortran, dtype = read(member)
            if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize > MOST:
                raise ValueError(f"its shape is {shape}")
            return shape, fortran, dtype
        except (ValueError, SyntaxError, tokenize.TokenError) as error:  # the header is parsed as a Python literal
            raise UserError(f"{self.path}: expected {name} to be a NumPy array ({error}): {self.remedy}") from None


@contextmanager
def hdf5(path: Path, remedy: str = FETCH_AGAIN) -> Iterator[Hdf5File]:
    """Open an HDF5 file. Raises UserError, ending in `remedy`, if it is damaged, also while the body reads it."""
    import h5py

    with damage_as_user_error(path, "HDF5 file", remedy), h5py.File(path, "r") as file:
        yield Hdf5File(path, file, remedy)


class Hdf5File(ArrayFile):
    """An open HDF5 file; `file` is its h5py.File."""

    def __contains__(self, name: str) -> bool:
        return name in self.file

    def array(self, name: str):
        """The array as h5py.Dataset."""
        import h5py

        if name not in self:
            found = ", ".join(self.file) or "nothing"
            raise UserError(f"{self.path}: expected an array {name}, found {found}: {self.remedy}")
        try:
            found = self.file[name]
        except KeyError as error:
            reason = f"is a link to what is not there ({error.args[0]})"
            raise UserError(f"{self.path}: {name} {reason}: {self.remedy}") from None
        if not isinstance(found, h5py.Dataset) or found.shape is None:
            kind = "an empty array" if isinstance(found, h5py.Dataset) else f"a {type(found).__name__.lower()}"
            raise UserError(f"{self.path}: expected {name} to be an array, found {kind}: {self.remedy}")
        if found.external or found.is_virtual or not Path(found.file.filename).samefile(self.path):
            raise UserError(f"{self.path}: {name} lies in other files, which are not read: save it in this one")
        return found

    def header(self, name: str) -> tuple[tuple[int, ...], np.dtype]:
        array = self.array(name)
        return array.shape, array.dtype

    def read(self, name: str) -> np.ndarray:
        import h5py

        array = self.array(name)
        with self.reading():
            values = np.asarray(array[()])
        return values if h5py.check_string_dtype(array.dtype) is None else values.astype("S")

    def rows(self, name: str) -> Iterator[np.ndarray]:
        array = self.array(name)
        chunk = array.chunks[0] if array.chunks else 1  # to unpack every one once
        some = chunk * max(1, PIECE // (chunk * array.dtype.itemsize * int(np.prod(array.shape[1:]))))
        for start in range(0, len(array), some):
            with self.reading():
                rows = array[start : start + some]
            yield rows

    def reading(self) -> AbstractContextManager[None]:
        """For a body that reads and does no more: errors mean that the file is damaged, also those like of a disk."""
        return damage_as_user_error(self.path, "HDF5 file", self.remedy)
