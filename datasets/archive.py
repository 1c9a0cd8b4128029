"""Members of a tar, a zip, or of the folder that one was unpacked to, by name."""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from system.errors import UserError


@contextmanager
def opened(path: Path, remedy: str) -> Iterator[tuple[list[str], Callable[[str], bytes]]]:
    """Names of the files inside, in the order in which they are stored, and a reader of one of them.

    A compressed tar is fast only where its members are read in that order. Names of a folder's files begin with its own
    name, as in the archive. Nothing is unpacked to the disk. Raises UserError, ending in `remedy`, for a damaged file.
    """
    try:
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
                yield list(members), lambda name: archive.extractfile(members[name]).read()
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise UserError(f"{path}: expected a whole archive, found a damaged one ({error}): {remedy}") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}): check its permissions") from None
