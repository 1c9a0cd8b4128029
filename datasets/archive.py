"""Reads members of tar and zip archives, or of an unpacked folder: images and MATLAB arrays."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO, cast

import numpy as np
from PIL import Image

from datasets.resizing import resized
from datasets.spec import FETCH_AGAIN
from system.errors import UserError
from system.files import damage_as_user_error


@contextmanager
def opened(path: Path, remedy: str = FETCH_AGAIN) -> Iterator[tuple[list[str], Callable[[str], bytes]]]:
    """Yields the names of the members, in stored order, and a function that reads one of them by name.

    Read compressed tars in stored order: other orders are slow. For a folder, names start with the folder's name, as in
    the archive. Nothing is unpacked to disk. Raises UserError, ending in `remedy`, if the archive is damaged.
    """
    with damage_as_user_error(path, "archive", remedy):
        if path.is_dir():
            files = {
                file.relative_to(path.parent).as_posix(): file for file in sorted(path.rglob("*")) if file.is_file()
            }
            yield list(files), lambda name: files[name].read_bytes()
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                yield [name for name in archive.namelist() if not name.endswith("/")], archive.read
        else:
            with tarfile.open(path) as archive:
                members = {member.name.removeprefix("./"): member for member in archive if member.isfile()}
                yield list(members), lambda name: cast(IO[bytes], archive.extractfile(members[name])).read()  # files


def picture(path: Path, name: str, content: bytes, remedy: str = FETCH_AGAIN, **how) -> np.ndarray:
    """Decode an image member and resize it with `resized(..., **how)`. Raises UserError if it cannot be decoded."""
    try:
        with Image.open(BytesIO(content)) as image:
            return resized(image, **how)
    except Exception as error:  # decoders raise many types on broken files
        raise UserError(f"{path}: {name} cannot be read ({error}): {remedy}") from None


def matlab(path: Path, name: str, content: bytes, variable: str, remedy: str = FETCH_AGAIN) -> np.ndarray:
    """Read a variable of a MATLAB member. Raises UserError if it cannot be read."""
    from scipy.io import loadmat

    try:
        return loadmat(BytesIO(content), variable_names=[variable])[variable]
    except Exception as error:  # SciPy raises many types on broken files
        raise UserError(f"{path}: {name} cannot be read ({error}): {remedy}") from None
