"""Members of a tar, a zip, or of the folder that one was unpacked to, by name: pictures and MATLAB's arrays."""

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

from datasets.files import FETCH_AGAIN, damage_told
from datasets.resizing import resized
from system.errors import UserError


@contextmanager
def opened(path: Path, remedy: str = FETCH_AGAIN) -> Iterator[tuple[list[str], Callable[[str], bytes]]]:
    """Names of the files inside, in the order in which they are stored, and a reader of one of them.

    A compressed tar is fast only where its members are read in that order. Names of a folder's files begin with its own
    name, as in the archive. Nothing is unpacked to the disk. Raises UserError, ending in `remedy`, for a damaged file.
    """
    with damage_told(path, "archive", remedy):
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
    """A member that is a picture, brought to 64x64 by `resized(..., **how)`. Raises UserError for a broken one."""
    try:
        with Image.open(BytesIO(content)) as image:
            return resized(image, **how)
    except Exception as error:  # a decoder may raise anything on a broken file
        raise UserError(f"{path}: {name} cannot be read ({error}): {remedy}") from None


def matlab(path: Path, name: str, content: bytes, variable: str, remedy: str = FETCH_AGAIN) -> np.ndarray:
    """A variable of a member that is a MATLAB file. Raises UserError for a broken one."""
    from scipy.io import loadmat

    try:
        return loadmat(BytesIO(content), variable_names=[variable])[variable]
    except Exception as error:  # SciPy raises many kinds for a file that it cannot parse
        raise UserError(f"{path}: {name} cannot be read ({error}): {remedy}") from None
