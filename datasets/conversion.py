"""One-time conversions of official files into arrays that are mapped into memory."""

from __future__ import annotations

import hashlib
import json
import mmap
import sys
import threading
import zlib
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np

from datasets.files import cache_directory, can_be_written, free_bytes, locked, make_directory, partial_path, replacing
from system.errors import UserError


def mapped(path: Path, shape: Sequence[int], offset: int) -> np.ndarray:
    """uint8 `shape` found at `offset` in the file, mapped into memory, read-only. Raises ValueError if it is too short.

    Random batches out of a file that is not in the page cache cost only their own pages, and meanwhile the file is read
    in the background, so that nothing waits for the disk any more after its first minute.
    """
    with path.open("rb") as handle:
        mapping = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)
    if hasattr(mmap, "MADV_RANDOM"):
        mapping.madvise(mmap.MADV_RANDOM)
    array = np.frombuffer(mapping, np.uint8, int(np.prod(shape, dtype=np.int64)), offset).reshape(shape)
    read_ahead(path)
    return array


def read_ahead(path: Path) -> threading.Thread | None:
    """Reads the file once from end to end in the background, if the memory that is free could hold it half again.

    It then lies in the system's page cache, which is nobody's memory: it gives way to whoever needs it.
    """
    try:
        described = Path("/proc/meminfo").read_text()
    except OSError:
        return None  # not Linux: the system reads ahead as it likes
    available = 1024 * int(described.partition("MemAvailable:")[2].split()[0])
    if path.stat().st_size * 1.5 > available:
        return None
    reader = threading.Thread(target=_read_to_the_end, args=(path,), daemon=True)
    reader.start()
    return reader


def _read_to_the_end(path: Path) -> None:
    block = memoryview(bytearray(2**20))
    with path.open("rb", buffering=0) as handle:
        while handle.readinto(block):
            pass


def npy_header(shape: Sequence[int]) -> bytes:
    """The beginning of a `.npy` file of uint8 in C order, equally long for any number of images."""
    header = BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": tuple(shape)})
    return header.getvalue()


def convert_once(
    source: Path, name: str, suffix: str, key: dict, size: int, write: Callable[[BinaryIO], dict]
) -> tuple[np.ndarray, dict]:
    """The memory-mapped array made from `source`, and what was noted about it; `write` makes it at the first use.

    It lies beside `source`, or, where that directory cannot be written or is too full, in the cache directory of the
    data set `name`. A note beside it (JSON) says from which file it was made: when `key` differs, it is made again.

    Args:
        suffix: added to the source's name.
        key: tells one content of the source from another.
        size: bytes that the array needs.
        write: writes a `.npy` file to the open file it is given, and returns what to note (JSON).

    Returns: the array, memory-mapped and read-only, and the note. Raises UserError when no directory has room.
    """
    key = {"key": key, "size": size}
    cached = f"{hashlib.sha256(str(source.resolve()).encode()).hexdigest()[:12]}-{source.name}{suffix}"
    places = [source.with_name(source.name + suffix), cache_directory(name) / cached]
    for path in places:
        if (found := _opened(path, key)) is not None:
            return found
    path = _place_with_room(places, size)
    make_directory(path.parent, "set LIE_VAE_CACHE to a directory that can be written")
    with locked(path):
        if (found := _opened(path, key)) is None:
            note = _note(path)
            note.unlink(missing_ok=True)
            with replacing(path) as handle:
                noted = write(handle)
            with replacing(note) as handle:
                handle.write(json.dumps({**key, "note": noted, "crc32": _checksum(path)}).encode())
            found = _opened(path, key)
    if found is None:
        raise UserError(f"{path} could not be read back: check the disk, delete the file and repeat")
    return found


def _note(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _opened(path: Path, key: dict) -> tuple[np.ndarray, dict] | None:
    """The conversion at `path` and its note, if both are there, made from the same source, and as they were written."""
    try:
        noted = json.loads(_note(path).read_bytes())
        if {"key": noted["key"], "size": noted["size"]} != key:
            return None
        if noted["crc32"] != _checksum(path):
            print(f"warning: {path} is not what was written (a fault of the disk?): it is made again", file=sys.stderr)
            return None
        with path.open("rb") as handle:
            np.lib.format.read_magic(handle)
            shape, _, _ = np.lib.format.read_array_header_1_0(handle)
            return mapped(path, shape, handle.tell()), noted["note"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _checksum(path: Path) -> int:
    """CRC-32 of the file. It is read from end to end, at 6 GB/s once it is in the page cache."""
    checksum, block = 0, memoryview(bytearray(2**20))
    with path.open("rb", buffering=0) as handle:
        while size := handle.readinto(block):
            checksum = zlib.crc32(block[:size], checksum)
    return checksum


def _begun(path: Path) -> int:
    """Bytes of `path` that another process has written so far, or a killed one has left to be written over."""
    partial = partial_path(path)
    return partial.stat().st_size if partial.exists() else 0


def _place_with_room(places: Sequence[Path], size: int) -> Path:
    """The first path whose directory can be written and has room for `size` bytes. Raises UserError if none has."""
    found = []
    for path in places:
        directory = path.parent
        if not can_be_written(directory):
            found.append(f"{directory} cannot be written")
            continue
        while not directory.exists():
            directory = directory.parent
        free = free_bytes(directory) + _begun(path)
        if free > size + 2**24:
            return path
        found.append(f"{path.parent} has {free / 1e9:.1f} GB")
    raise UserError(
        f"{size / 1e9:.1f} GB of disk are needed once for an uncompressed copy, but {' and '.join(found)}: "
        "free some space, or set LIE_VAE_CACHE to a directory on a larger disk"
    )
