"""Files of data sets: the cache directory, damaged files, locks, atomic writes."""

from __future__ import annotations

import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from datasets.spec import DataFile
from system import files as system_files
from system.errors import UserError


def manual_download_error(file: DataFile, directory: Path) -> UserError:
    """The error for a missing file that has to be downloaded by hand."""
    return UserError(f"{file.name} must be downloaded by hand: get it at {file.page} and put it into {directory}")


FETCH_AGAIN = "name another file, or move this one away and fetch it again"  # remedy for a wrong or damaged file

# Exceptions of zipfile, tarfile and h5py for damaged or encrypted files.
_DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, struct.error, EOFError, RuntimeError, KeyError)


@contextmanager
def damage_as_user_error(path: Path, kind: str, remedy: str = FETCH_AGAIN, also: tuple = ()) -> Iterator[None]:
    """Convert errors of the body that mean a damaged or unreadable file into UserError.

    Args:
        kind: what the file should be, for the message.
        remedy: end of the message.
        also: further exception types that mean a damaged file.
    """
    try:
        yield
    except (OSError, *_DAMAGE, *also) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise UserError(f"{path} cannot be read ({error.strerror}): check its permissions and the disk") from None
        raise UserError(
            f"{path}: expected a whole {kind}, found a truncated or damaged one ({error}): {remedy}"
        ) from None


def cache_directory(name: str) -> Path:
    """Folder of replicas and conversions of the data set, in `$LIE_VAE_CACHE` or else `~/.cache/lie-group-vae`."""
    root = os.environ.get("LIE_VAE_CACHE") or "~/.cache/lie-group-vae"
    return Path(root).expanduser() / name


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock `<path>.lock`: other processes that want it wait. A killed process releases it."""
    lock = path.with_name(path.name + ".lock")
    waiting = f"waiting for another process that is making {path}"
    with system_files.locked(lock, waiting, "name a directory that can be written"):
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def partial_path(path: Path) -> Path:
    """Path of the incomplete file that is renamed to `path` when complete."""
    return path.with_name(path.name + ".partial")


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Yields a binary file to write, which replaces `path` atomically if the body ends without an error.

    Hold `locked(path)`. Raises UserError if the disk is full, and for every other OSError of the body.
    """
    with system_files.replacing(path, partial_path(path)) as temporary, temporary.open("wb") as handle:
        yield handle
