"""Packs 64x64 images from any source, once, into an array that is memory-mapped."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeVar

import numpy as np

from datasets.conversion import convert_once, images_bar, npy_header, stamp
from datasets.resizing import SIDE
from system.errors import UserError

BYTES_AT_ONCE = 2**25

T = TypeVar("T")
Made = TypeVar("Made")


class Packed(NamedTuple):
    """Packed images.

    left_out: indices of the items left out; crc32: checksum of the images.
    """

    images: np.ndarray  # uint8 [kept, 64, 64, channels]
    left_out: list[int]
    crc32: int


def named(path: Path, crc32: int) -> str:
    """The `source` of a user's own images: another folder or another version may have the same name."""
    return f"{path.resolve().name}, crc32 {crc32:08x}"


class Range:
    """The values that a user's images use, found when they are packed: whether they are masks, and of how many bits.

    white: the value that stands for white in images of more than 8 bits: all ones of the bits that they use.
    mask: whether every image of 8 bits holds 0 and 1 only, of which 1 stands for white.
    """

    def __init__(self):
        self.white, self.mask, self.deep = 2**16 - 1, False, False

    def find(self, images: Iterable[tuple[bool, Callable[[], int]]]) -> None:
        """images: of each, whether it has more than 8 bits, and a function that gives its largest value."""
        deepest, largest = 0, 0
        for deep, largest_of in images:
            if deep:
                deepest = max(deepest, largest_of())
            elif largest <= 1:  # else they are no masks, and need not be read
                largest = max(largest, largest_of())
        bits = deepest.bit_length()
        self.white = 2 ** (bits if bits <= 1 else max(bits, 8)) - 1 if deepest else self.white
        self.mask, self.deep = largest == 1, deepest > 0

    def said(self) -> list[str]:
        """Lines for the screen on what is not usual."""
        masks = ["8-bit pictures hold 0 and 1 only: masks, of which 1 is taken as white"] if self.mask else []
        deep = f"pictures of 16 bits use values up to {self.white}, which is taken as white"
        return [*masks, *([deep] if self.deep else [])]


def pack(
    name: str,
    sources: Sequence[Path],
    form: Sequence,
    items: Iterable[T],
    work: Callable[[T], np.ndarray | None],
    count: int,
    channels: int,
    *,
    key: object = None,
    places: np.ndarray | None = None,
    said: Callable[[], list[str]] = list,
    progress: bool = True,
) -> Packed:
    """Memory-map the packed images; pack them first if needed, next to the first source or in the cache directory.

    Args:
        name: name of the data set.
        sources: the files that the images come from; if one changes, the images are packed again.
        form: the options that the images depend on, such as `("crop", "lanczos")`; each has its own packed file.
        items: `count` of them; they are only iterated over if the images have to be packed.
        work: item -> uint8 `[64, 64, channels]`, or None to leave it out. Called in several threads.
        said: after packing, lines to print on stderr each time that the images are opened.
        key: identifies the contents of the sources (JSON); None: their sizes and dates.
        places: int64 `[count]`, position of each image; None: in order. With places, no item may be left out.

    Raises: UserError if all items are left out, or no directory has room.
    """
    suffix = ".".join(["", *map(str, form), f"{SIDE}x{SIDE}x{channels}", "npy"])

    def write(handle: BinaryIO) -> dict:
        images = images_bar(map_in_threads(work, items), count, f"packing {name} once", progress)
        return {**_write(handle, sources[0], count, channels, images, places), "said": said()}

    key = {"sources": [stamp(path) for path in sources] if key is None else key, "places": places is not None}
    array, note = convert_once(sources[0], name, suffix, key, count * SIDE * SIDE * channels, write)
    for line in [*note["said"], *(["every picture is black"] if note["brightest"] == 0 else [])]:
        print(f"note: {sources[0]}: {line}", file=sys.stderr)
    return Packed(array, note["left_out"], note["crc32"])


def map_in_threads(work: Callable[[T], Made], items: Iterable[T], at_once: int = 128) -> Iterator[Made]:
    """Like `map`, in threads, with at most `at_once` items of together BYTES_AT_ONCE in memory, and their results.

    Pillow and NumPy release the GIL.
    """
    with ThreadPoolExecutor(min(8, cpu_count() or 1)) as pool:
        some: list[T] = []
        for item in items:
            some.append(item)
            if len(some) == at_once or sum(getattr(one, "nbytes", 0) for one in some) > BYTES_AT_ONCE:
                yield from pool.map(work, some)
                some = []
        yield from pool.map(work, some)


def _write(
    handle: BinaryIO, source: Path, count: int, channels: int, images: Iterable, places: np.ndarray | None
) -> dict:
    """Write the images to a `.npy` file. Returns metadata. Raises UserError if all images are None."""
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
        raise UserError(f"{source}: none of the {count} images can be read: name another path")
    handle.seek(0)
    handle.write(npy_header((count - len(left_out), SIDE, SIDE, channels)))
    handle.seek(0, 2)
    return {"left_out": left_out, "brightest": brightest}
