"""What the files of every data set need: a description, the cache, locks, atomic writes."""

from __future__ import annotations

import errno
import os
import shutil
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from system import files as system_files
from system.errors import UserError


@dataclass(frozen=True)
class DataFile:
    """An official file.

    name: under which it is published and kept.
    url: where it is fetched from; empty where its publisher asks for a form or a licence first: see `page`.
    magic: its first bytes, by which a sign-in page is told from the file.
    checksum: `md5:<hex>`, `sha256:<hex>`, or `git-blob:<hex>` (SHA-1 of `b"blob <size>\\0"` followed by the bytes);
        empty where none is published: the file is then taken as it arrives, and said to be unverified.
    page: the publisher's page, for people.
    unpacked: the name of what the file unpacks to, if that will do in its place.
    """

    name: str
    url: str
    magic: bytes
    checksum: str = ""
    page: str = ""
    unpacked: str = ""


def by_hand(file: DataFile, directory: Path) -> UserError:
    """The error for a file that no program may fetch."""
    return UserError(
        f"{file.name} is given out by its publisher only: get it at {file.page} and put it into {directory}"
    )


FETCH_AGAIN = "name another file, or move this one away and fetch it again"  # the remedy for one that is not right

# What Python's readers of archives and h5py raise for a file that is not whole; RuntimeError for an encrypted one, say.
_DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, struct.error, EOFError, RuntimeError, KeyError)


@contextmanager
def damage_told(path: Path, kind: str, remedy: str = FETCH_AGAIN, also: tuple = ()) -> Iterator[None]:
    """Raises UserError, ending in `remedy`, where the body meets a file that is not a whole one of its kind.

    also: errors that mean damage here besides those of archives and HDF5 files.
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
    """Where replicas and conversions of the data set `name` live: `$LIE_VAE_CACHE`, else `~/.cache/lie-group-vae`."""
    root = os.environ.get("LIE_VAE_CACHE") or "~/.cache/lie-group-vae"
    return Path(root).expanduser() / name


def make_directory(directory: Path, remedy: str) -> Path:
    """Makes the directory and its parents. Raises UserError, ending in `remedy`, where that is impossible."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the directory {directory} ({error.strerror}): {remedy}") from None
    return directory


def can_be_written(directory: Path) -> bool:
    """Whether files can be made in the directory, or, where it does not exist yet, in what it would be made in."""
    while not directory.exists() and directory != directory.parent:
        directory = directory.parent
    return directory.is_dir() and os.access(directory, os.W_OK | os.X_OK)


def free_bytes(directory: Path) -> int:
    """Bytes free on the directory's disk."""
    return shutil.disk_usage(directory).free


def is_disk_full(error: BaseException) -> bool:
    """Whether a write failed because the disk, or the user's share of it, is full."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds `<path>.lock`: of several processes that would make `path`, one at a time runs the body, the others wait.

    A holder that is killed frees it. The lock's file is removed at the end.
    """
    lock = path.with_name(path.name + ".lock")
    waiting = f"waiting for another process that is making {path}"
    with system_files.locked(lock, waiting, "name a directory that can be written"):
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def partial_path(path: Path) -> Path:
    """Where the file that will be `path` grows."""
    return path.with_name(path.name + ".partial")


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A binary file to write: it takes the name `path`, whole and on the disk, when the body ends without an error.

    Hold `locked(path)`. Raises UserError when the disk is full, and for every other OSError of the body.
    """
    with system_files.replacing(path, partial_path(path)) as temporary, temporary.open("wb") as handle:
        yield handle
