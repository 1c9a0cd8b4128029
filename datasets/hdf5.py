"""Reads arrays of HDF5 files piece by piece."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np

from datasets import array_file
from datasets.array_file import ArrayFile
from datasets.spec import FETCH_AGAIN
from system.errors import UserError
from system.files import damage_as_user_error

MAGIC = b"\x89HDF\r\n\x1a\n"


@contextmanager
def opened(path: Path, remedy: str = FETCH_AGAIN) -> Iterator[Hdf5File]:
    """Open a file. Raises UserError, ending in `remedy`, if it is damaged, also while the body reads it."""
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
        some = chunk * max(1, array_file.PIECE // (chunk * array.dtype.itemsize * int(np.prod(array.shape[1:]))))
        for start in range(0, len(array), some):
            with self.reading():
                rows = array[start : start + some]
            yield rows

    def reading(self) -> AbstractContextManager[None]:
        """For a body that reads and does no more: errors mean that the file is damaged, also those like of a disk."""
        return damage_as_user_error(self.path, "HDF5 file", self.remedy)
