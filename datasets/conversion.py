"""Converts official files, once, into arrays that can be memory-mapped."""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import sys
import threading
import zlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import IO, BinaryIO

import numpy as np
from tqdm import tqdm

from datasets.locate import cache_directory
from system.errors import UserError
from system.files import can_be_written, free_bytes, making, partial_path, replacing, write_text

_SPARE = 2**24  # bytes to leave free on the disk


def mapped(path: Path, shape: Sequence[int], offset: int) -> np.ndarray:
    """Memory-map a uint8 array of this shape, which starts at `offset` in the file; read-only.

    Random access reads only the pages it needs. Raises ValueError if the file is too short.
    """
    with path.open("rb") as handle:
        mapping = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)
    if hasattr(mmap, "MADV_RANDOM"):
        mapping.madvise(mmap.MADV_RANDOM)
    return np.frombuffer(mapping, np.uint8, int(np.prod(shape, dtype=np.int64)), offset).reshape(shape)


def read_ahead(path: Path) -> threading.Thread | None:
    """Read the file into the page cache in a background thread, if 1.5 times its size is available as memory.

    After about a minute no batch of its mapped array waits for the disk any more. The system frees the page cache when
    processes need the memory. Does nothing on systems other than Linux.
    """
    try:
        described = Path("/proc/meminfo").read_text()
    except OSError:
        return None  # not Linux
    available = 1024 * int(described.partition("MemAvailable:")[2].split()[0])
    if path.stat().st_size * 1.5 > available:
        return None

    def read() -> None:
        block = memoryview(bytearray(2**20))
        # The mapping stays valid if the file is deleted meanwhile, and reports its own errors.
        with suppress(OSError), path.open("rb", buffering=0) as handle:
            while handle.readinto(block):
                pass

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    return reader


def stamp(path: Path) -> list[int]:
    """Size and times of a file, to detect changes. The last time is set by the system, whatever an archive restores."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def npy_header(shape: Sequence[int]) -> bytes:
    """Header of a `.npy` file of uint8 in C order; its length does not depend on the number of images."""
    header = BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": tuple(shape)})
    return header.getvalue()


def images_bar(images: Iterable | None, count: int, title: str, progress: bool) -> tqdm:
    """A progress bar of `count` images: of those that it passes on, or else of those that `update` counts."""
    return tqdm(images, total=count, desc=title, unit=" images", unit_scale=True, disable=not progress)


def write_images(
    handle: IO[bytes], shape: Sequence[int], pieces: Iterable[np.ndarray], title: str, progress: bool
) -> None:
    """Write a `.npy` file of uint8 `shape` from pieces of some images each, `[m, ...]`; `title` is that of the bar."""
    handle.write(npy_header(shape))
    with images_bar(None, shape[0], title, progress) as bar:
        for piece in pieces:
            handle.write(piece.data)
            bar.update(len(piece))


def convert_once(
    source: Path, name: str, suffix: str, key: dict, size: int, write: Callable[[BinaryIO], dict]
) -> tuple[np.ndarray, dict]:
    """Memory-map the array converted from `source`; convert it first if that was not done yet.

    The converted file is stored next to `source`, or in the cache directory of the data set `name` if that directory is
    not writable or full. A JSON file next to it holds `key` and a checksum: if they differ, it is converted again.

    Args:
        suffix: appended to the name of the source.
        key: identifies the contents of the source (JSON).
        size: bytes of the array, for the room that it takes.
        write: writes a `.npy` file to an open file; returns metadata (JSON).

    Returns: the array, memory-mapped and read-only, and the metadata with the file's `crc32`. Raises UserError if no
        directory has room.
    """
    cached = f"{hashlib.sha256(os.fsencode(source.resolve())).hexdigest()[:12]}-{source.name}{suffix}"
    places = [source.with_name(source.name + suffix), cache_directory(name) / cached]
    for path in places:
        if (found := _opened(path, key)) is not None:
            return found
    path = _place_with_room(places, size)
    with making(path, "set LIE_VAE_CACHE to a directory that can be written"):
        if (found := _opened(path, key)) is not None:  # another process has made it meanwhile
            return found
        _note(path).unlink(missing_ok=True)
        with replacing(path, partial_path(path)) as temporary, temporary.open("wb") as handle:
            noted = write(handle)
        note = {"key": key, "size": size, "note": noted, "crc32": _checksum(path)}  # size: for older versions
        write_text(_note(path), json.dumps(note))
        if (found := _opened(path, key)) is not None:
            return found
    raise UserError(f"{path} could not be read back: check the disk, delete the file and repeat")


def _note(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _opened(path: Path, key: dict) -> tuple[np.ndarray, dict] | None:
    """The converted array at `path` and its metadata; None if it is missing, outdated or damaged."""
    try:
        noted = json.loads(_note(path).read_bytes())
        if noted["key"] != key:
            return None
        if noted["crc32"] != _checksum(path):  # reads the file into the page cache
            print(f"warning: {path} is damaged (checksum differs); converting it again", file=sys.stderr)
            return None
        array = np.load(path, mmap_mode="r")
        return mapped(path, array.shape, array.offset), {**noted["note"], "crc32": noted["crc32"]}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _checksum(path: Path) -> int:
    """CRC-32 of the file; about 6 GB/s from the page cache."""
    checksum, block = 0, memoryview(bytearray(2**20))
    with path.open("rb", buffering=0) as handle:
        while size := handle.readinto(block):
            checksum = zlib.crc32(block[:size], checksum)
    return checksum


def _place_with_room(places: Sequence[Path], size: int) -> Path:
    """The first path whose directory is writable and has room for `size` bytes. Raises UserError if there is none."""
    found = []
    for path in places:
        free, partial = free_bytes(path.parent), partial_path(path)
        if partial.exists():  # of a running or killed process; will be overwritten
            free += partial.stat().st_size
        if not can_be_written(path.parent):
            found.append(f"{path.parent} cannot be written")
        elif free > size + _SPARE:
            return path
        else:
            found.append(f"{path.parent} has {free / 1e6:,.0f} MB")
    raise UserError(
        f"{(size + _SPARE) / 1e6:,.0f} MB of disk are needed once for an uncompressed copy, but {' and '.join(found)}: "
        "free some space, or set LIE_VAE_CACHE to a directory on a larger disk"
    )
