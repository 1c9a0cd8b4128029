"""The store: images of any source are written once into a `.npy` file, which is then memory-mapped.

Beside the array lies a JSON file with the key of what it was made from: another key, and it is made again.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import sys
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeVar

import numpy as np
from tqdm import tqdm

from system.errors import UserError
from system.files import can_be_written, free_bytes, making, partial_path, replacing, write_text

SPARE = 2**24  # bytes to leave free on the disk
BYTES_AT_ONCE = 2**25
ANOTHER_CACHE = "set LIE_VAE_CACHE to a directory that can be written, or give --data-path"

T = TypeVar("T")
Made = TypeVar("Made")
Pieces = Iterable["np.ndarray | None"]


class Stored(NamedTuple):
    """Images in the store, and what was noted when they were written: `left_out`, `crc32`, `said`."""

    images: np.ndarray  # uint8 [n, ...], memory-mapped, read-only
    note: dict


def cache_directory(name: str) -> Path:
    """Folder of the data set in `$LIE_VAE_CACHE` or else `~/.cache/lie-group-vae`.

    Raises UserError if the home directory that this refers to is unknown.
    """
    root = os.environ.get("LIE_VAE_CACHE") or "~/.cache/lie-group-vae"
    try:
        return Path(root).expanduser() / name
    except RuntimeError:
        raise UserError(f"the home directory of {root} is not known: set LIE_VAE_CACHE to another directory") from None


def build(
    name: str,
    source: Path,
    form: str,
    key: object,
    shape: Sequence[int],
    pieces: Callable[[], Pieces],
    *,
    places: np.ndarray | None = None,
    said: Callable[[], list[str]] = list,
    progress: bool = True,
) -> Stored:
    """Memory-map the images made from `source`; write them first, if that was not done yet.

    The file `<source>.<form>.npy` lies next to `source`, or in the cache directory of the data set `name` if that
    directory is not writable or full.

    Args:
        form: tells apart the arrays that are made from one source.
        key: identifies the contents of the source (JSON).
        shape: of the array, `[n, ...]`.
        pieces: called to write: yields the images in order, `[m, ...]` at a time; None leaves one out.
        places: int64 `[n]`, position of each image; None: in order. With places, none may be left out.
        said: after that, lines to print on stderr each time that the images are opened.

    Raises: UserError if all images are left out, or no directory has room.
    """
    cached = f"{hashlib.sha256(os.fsencode(source.resolve())).hexdigest()[:12]}-{source.name}.{form}.npy"
    beside = [source.with_name(f"{source.name}.{form}.npy"), cache_directory(name) / cached]
    key = {"source": key, "sorted": places is not None, "shape": list(shape)}
    found = _made(beside, key, shape, pieces, places, said, f"storing {name} once", source, progress)
    for line in found.note["said"]:
        print(f"note: {source}: {line}", file=sys.stderr)
    return found


def replica(
    name: str, version: int, shape: Sequence[int], pieces: Callable[[], Pieces], progress: bool = True
) -> np.ndarray:
    """The replica of a data set in the cache, drawn first if this version was not drawn yet: uint8 `shape`."""
    path, key = cache_directory(name) / "replica.npy", {"replica": name, "version": version, "shape": list(shape)}
    state = "using" if _opened(path, key) else "drawing"
    print(f"no --data-path given: {state} the replica of {name} in {path.parent}", file=sys.stderr)
    return _made([path], key, shape, pieces, None, list, f"drawing {name} once", path, progress).images


def check_replica(name: str) -> None:
    """Raise UserError if the replica is not drawn yet, and cannot be."""
    folder = cache_directory(name)
    if not (folder / "replica.npy").exists() and not can_be_written(folder):
        raise UserError(
            f"the replica of {name} cannot be drawn into {folder}, which cannot be written: {ANOTHER_CACHE}"
        )


def _made(
    places_of_file: Sequence[Path],
    key: dict,
    shape: Sequence[int],
    pieces: Callable[[], Pieces],
    places: np.ndarray | None,
    said: Callable[[], list[str]],
    title: str,
    origin: Path,
    progress: bool,
) -> Stored:
    """The array with this key in one of the places; written to the first with room if there is none."""
    for path in places_of_file:
        if (found := _opened(path, key)) is not None:
            return found
    path = _place_with_room(places_of_file, int(np.prod(shape, dtype=np.int64)))
    with making(path, ANOTHER_CACHE):
        if (found := _opened(path, key)) is not None:  # another process has made it meanwhile
            return found
        _note(path).unlink(missing_ok=True)
        with replacing(path, partial_path(path)) as temporary, temporary.open("wb") as handle:
            left_out, brightest = _write(handle, shape, pieces(), places, title, progress)
            if len(left_out) == shape[0]:
                raise UserError(f"{origin}: none of the {shape[0]} images can be read: name another path")
        lines = [*said(), *([] if brightest else ["every picture is black"])]
        note = {"key": key, "left_out": left_out, "said": lines, "crc32": _checksum(path)}
        write_text(_note(path), json.dumps({**note, "bytes": path.stat().st_size}))
        if (found := _opened(path, key)) is not None:
            return found
    raise UserError(f"{path} could not be read back: check the disk, delete the file and repeat")


def _note(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _opened(path: Path, key: dict) -> Stored | None:
    """The array at `path`, in milliseconds whatever its size; None if it is missing, outdated or cut off."""
    try:
        note = json.loads(_note(path).read_bytes())
        if note["key"] != key or note["bytes"] != path.stat().st_size:
            return None
        array = np.load(path, mmap_mode="r")
        read_ahead(path)
        return Stored(mapped(path, array.shape, array.offset), note)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _write(
    handle: BinaryIO, shape: Sequence[int], pieces: Pieces, places: np.ndarray | None, title: str, progress: bool
) -> tuple[list[int], int]:
    """Write the pieces to a `.npy` file. Returns the numbers of the images left out, and the largest value."""
    begin, size = _npy_header(shape), int(np.prod(shape[1:], dtype=np.int64))
    handle.write(begin)
    left_out: list[int] = []
    number = brightest = 0
    with tqdm(total=shape[0], desc=title, unit=" images", unit_scale=True, disable=not progress) as bar:
        for piece in pieces:
            if piece is None:
                left_out.append(number)
            elif places is None:
                handle.write(np.ascontiguousarray(piece).data)
            else:
                for image, place in zip(piece, places[number : number + len(piece)], strict=True):
                    handle.seek(len(begin) + int(place) * size)
                    handle.write(np.ascontiguousarray(image).data)
            count = 1 if piece is None else len(piece)
            brightest = max(brightest, 0 if piece is None or not count else int(piece.max()))
            number += count
            bar.update(count)
    handle.seek(0)
    handle.write(_npy_header((shape[0] - len(left_out), *shape[1:])))
    handle.seek(0, 2)
    return left_out, brightest


def _npy_header(shape: Sequence[int]) -> bytes:
    """Header of a `.npy` file of uint8 in C order; its length does not depend on the number of images."""
    header = BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": tuple(shape)})
    return header.getvalue()


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
        elif free > size + SPARE:
            return path
        else:
            found.append(f"{path.parent} has {free / 1e6:,.0f} MB")
    raise UserError(
        f"{(size + SPARE) / 1e6:,.0f} MB of disk are needed once for an uncompressed copy, but {' and '.join(found)}: "
        "free some space, or set LIE_VAE_CACHE to a directory on a larger disk"
    )


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


def stamp(*paths: Path) -> list:
    """Size and times of files, to detect changes. The last time is set by the system, whatever an archive restores."""
    return [[status.st_size, status.st_mtime_ns, status.st_ctime_ns] for status in (path.stat() for path in paths)]


def in_threads(work: Callable[[T], Made], items: Iterable[T], at_once: int = 128) -> Iterator[Made]:
    """Like `map`, in threads, with at most `at_once` items of together BYTES_AT_ONCE in memory, and their results.

    Pillow and NumPy release the GIL.
    """
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        some: list[T] = []
        for item in items:
            some.append(item)
            if len(some) == at_once or sum(getattr(one, "nbytes", 0) for one in some) > BYTES_AT_ONCE:
                yield from pool.map(work, some)
                some = []
        yield from pool.map(work, some)


def named(path: Path, crc32: int) -> str:
    """The `source` of a user's own images: another folder or another version may have the same name."""
    return f"{path.resolve().name}, crc32 {crc32:08x}"
