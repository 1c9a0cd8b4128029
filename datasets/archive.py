"""Reads members of tar and zip archives, or of an unpacked folder: images and MATLAB arrays."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, cast

import numpy as np
from PIL import Image

from datasets.resizing import resized
from datasets.spec import FETCH_AGAIN
from system.errors import UserError
from system.files import damage_as_user_error


@dataclass
class Archive:
    """An open archive, or a folder. Its methods raise UserError, ending in `remedy`, for missing and damaged members.

    names: of all members, in stored order; those in a folder start with the folder's name, as in the archive.
    read: the content of the member of this name. Read compressed tars in stored order: other orders are slow.
    """

    path: Path
    remedy: str
    names: list[str]
    read: Callable[[str], bytes]

    def contents(self, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Yields these names and their contents."""
        return ((name, self.read(name)) for name in names)

    def require(self, names: Iterable[str]) -> None:
        """Raises UserError, naming the first, if some of these are no members."""
        if missing := sorted(set(names) - set(self.names)):
            raise UserError(f"{self.path}: {missing[0]} is missing: {self.remedy}")

    def picture(self, member: tuple[str, bytes], **how) -> np.ndarray:
        """Decode an image, given by its name and content, and resize it with `resized(..., **how)`."""
        name, content = member
        with self._reading(name), Image.open(BytesIO(content)) as image:
            return resized(image, **how)

    def matlab(self, name: str, variable: str) -> np.ndarray:
        """Read a variable of a MATLAB member."""
        from scipy.io import loadmat

        content = BytesIO(self.read(name))
        with self._reading(name):
            return loadmat(content, variable_names=[variable])[variable]

    @contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # Pillow and SciPy raise many types on broken files
            raise UserError(f"{self.path}: {name} cannot be read ({error}): {self.remedy}") from None


@contextmanager
def opened(path: Path, remedy: str = FETCH_AGAIN) -> Iterator[Archive]:
    """Open an archive or a folder. Nothing is unpacked to disk.

    Raises UserError, ending in `remedy`, if the archive is damaged, also while the body reads it.
    """
    with damage_as_user_error(path, "archive", remedy):
        if path.is_dir():
            files = {
                file.relative_to(path.parent).as_posix(): file for file in sorted(path.rglob("*")) if file.is_file()
            }
            yield Archive(path, remedy, list(files), lambda name: files[name].read_bytes())
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as zipped:
                names = [name for name in zipped.namelist() if not name.endswith("/")]
                yield Archive(path, remedy, names, zipped.read)
        else:
            with tarfile.open(path) as tar:
                members = {member.name.removeprefix("./"): member for member in tar if member.isfile()}
                # A regular file has content.
                yield Archive(path, remedy, list(members), lambda name: cast(IO, tar.extractfile(members[name])).read())
