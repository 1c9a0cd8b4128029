"""64x64 images from any source, packed once into a copy that is mapped into memory: as fast as an official array."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from os import cpu_count
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
from tqdm import tqdm

from datasets.conversion import convert_once, npy_header
from datasets.resizing import SIDE
from system.errors import UserError

T = TypeVar("T")
Made = TypeVar("Made")


def stamp(path: Path) -> list:
    """Tells one content of a file from another: its size, and when it was written."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def pack(
    name: str,
    sources: Sequence[Path],
    form: Sequence,
    items: Callable[[], Iterable[T]],
    work: Callable[[T], np.ndarray | None],
    count: int,
    channels: int,
    *,
    key: object = None,
    places: np.ndarray | None = None,
    progress: bool = True,
) -> tuple[np.ndarray, list[int], int]:
    """The mapped copy of the images, made at the first use beside the first source or in the cache directory.

    Args:
        sources: the files from which they are made; when one changes, they are made again.
        form: the options that they depend on, such as `("crop", "lanczos")`: each form has a copy of its own.
        items: makes an iterator of `count` items.
        work: an item -> uint8 `[64, 64, channels]`, or None for what is left out. Runs in several threads.
        key: tells one content of the sources from another (JSON); None: their sizes and dates.
        places: int64 `[count]`, where each image goes; None: in order. With places nothing may be left out.

    Returns: uint8 `[kept, 64, 64, channels]`, mapped, which of the `count` were left out, and the brightest pixel.
    """
    suffix = ".".join(["", *map(str, form), f"{SIDE}x{SIDE}x{channels}", "npy"])

    def write(handle: BinaryIO) -> dict:
        images = tqdm(
            in_threads(work, items()),
            desc=f"packing {name} once",
            total=count,
            unit=" images",
            unit_scale=True,
            disable=not progress,
        )
        return _write(handle, count, channels, images, places)

    key = {"sources": [stamp(path) for path in sources] if key is None else key, "places": places is not None}
    array, note = convert_once(sources[0], name, suffix, key, count * SIDE * SIDE * channels, write)
    return array, note["left_out"], note["brightest"]


def in_threads(work: Callable[[T], Made], items: Iterable[T], together: int = 128) -> Iterator[Made]:
    """`work` on each item, in order, so many `together`: Pillow and NumPy work outside Python's lock."""
    with ThreadPoolExecutor(min(8, cpu_count() or 1)) as pool:
        items = iter(items)
        while some := list(islice(items, together)):
            yield from pool.map(work, some)


def _write(handle: BinaryIO, count: int, channels: int, images: Iterable, places: np.ndarray | None) -> dict:
    """Writes a `.npy` file. Returns what to note of it. Raises UserError where nothing is left to write."""
    begin = npy_header((count, SIDE, SIDE, channels))
    handle.write(begin)
    left_out, brightest, size = [], 0, SIDE * SIDE * channels
    for number, image in enumerate(images):
        if image is None:
            left_out.append(number)
            continue
        if places is not None:
            handle.seek(len(begin) + int(places[number]) * size)
        handle.write(np.ascontiguousarray(image).data)
        brightest = max(brightest, int(image.max()))
    if len(left_out) == count:
        raise UserError(f"none of the {count} images can be read: look at the files")
    handle.seek(0)
    handle.write(npy_header((count - len(left_out), SIDE, SIDE, channels)))
    handle.seek(0, 2)
    return {"left_out": left_out, "brightest": brightest}
