"""64x64 images from any source, packed once into a copy that is mapped into memory: as fast as a published array."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from tqdm import tqdm

from datasets.conversion import convert_once
from datasets.resizing import SIDE
from system.errors import UserError


def stamp(path: Path) -> list:
    """Tells one content of a file from another: its size, and when it was written."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def pack(
    source: Path,
    name: str,
    form: Sequence,
    key: dict,
    count: int,
    channels: int,
    images: Callable[[], Iterable[np.ndarray | None]],
    *,
    places: np.ndarray | None = None,
    progress: bool = True,
) -> tuple[np.ndarray, list[int], int]:
    """The mapped copy of the images, made at the first use beside `source` or in the cache directory.

    Args:
        form: the options that it depends on, such as `("crop", "lanczos")`: each form has a copy of its own.
        key: tells one content of the source from another (JSON), see `stamp`.
        count: images that `images` yields.
        images: makes an iterator of uint8 `[64, 64, channels]`, or None for what is left out.
        places: int64 `[count]`, where each image goes; None: in order. With places nothing may be left out.

    Returns: uint8 `[kept, 64, 64, channels]`, mapped, which of the `count` were left out, and the brightest pixel.
    """
    suffix = ".".join(["", *map(str, form), f"{SIDE}x{SIDE}x{channels}", "npy"])

    def write(handle: BinaryIO) -> dict:
        return _write(handle, count, channels, images(), places, f"packing {name} once", progress)

    key = {**key, "places": places is not None}
    array, note = convert_once(source, name, suffix, key, count * SIDE * SIDE * channels, write)
    return array, note["left_out"], note["brightest"]


def _write(handle: BinaryIO, count, channels, images, places, description: str, progress: bool) -> dict:
    """Writes a `.npy` file. Returns what to note of it. Raises UserError where nothing is left to write."""
    begin = _header((count, SIDE, SIDE, channels))
    handle.write(begin)
    left_out, brightest, size = [], 0, SIDE * SIDE * channels
    bar = tqdm(images, desc=description, total=count, unit=" images", unit_scale=True, disable=not progress)
    for number, image in enumerate(bar):
        if image is None:
            left_out.append(number)
            continue
        if places is not None:
            handle.seek(len(begin) + int(places[number]) * size)
        handle.write(np.ascontiguousarray(image))
        brightest = max(brightest, int(image.max()))
    if len(left_out) == count:
        raise UserError(f"none of the {count} images can be read: look at the files")
    handle.seek(0)
    handle.write(_header((count - len(left_out), SIDE, SIDE, channels)))
    handle.seek(0, 2)
    return {"left_out": left_out, "brightest": brightest}


def _header(shape: tuple[int, ...]) -> bytes:
    """The beginning of a `.npy` file of uint8, equally long for any number of images."""
    header = BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return header.getvalue()
