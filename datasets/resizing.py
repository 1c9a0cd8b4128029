"""Pictures of any size and mode -> uint8 `[64, 64, channels]`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from os import cpu_count
from typing import TypeVar

import numpy as np
from PIL import Image, ImageOps

SIDE = 64
RESIZE = ("crop", "pad", "stretch")
RESAMPLE = {"lanczos": Image.Resampling.LANCZOS, "bilinear": Image.Resampling.BILINEAR}
_TOGETHER = 128  # pictures decoded at a time

T = TypeVar("T")


def is_grey(image: Image.Image) -> bool:
    """Whether the file stores no colours."""
    return image.mode in ("1", "L", "LA") or image.mode.startswith(("I", "F"))


def resized(
    image: Image.Image,
    channels: int,
    resize: str = "stretch",
    resample: str = "lanczos",
    box: tuple[int, int, int, int] | None = None,
) -> np.ndarray:
    """A picture brought to 64x64.

    Args:
        channels: 1 (grey) or 3. Transparent pixels become white, 16 bits become 8.
        resize: `crop` to the square in the middle, `pad` with black to a square, or `stretch`; then resample.
        resample: `lanczos` or `bilinear`, Pillow's, which average over all source pixels when they shrink.
        box: left, upper, right, lower: the part of the picture that is used at all.

    Returns: uint8 `[64, 64, channels]`. Raises what Pillow raises for a file that it cannot decode.
    """
    image = _in_mode(image, "L" if channels == 1 else "RGB")
    if box is not None:
        image = image.crop(box)
    size, method = (SIDE, SIDE), RESAMPLE[resample]
    if image.size != size:
        if resize == "crop":
            image = ImageOps.fit(image, size, method)
        elif resize == "pad":
            image = ImageOps.pad(image, size, method)
        else:
            image = image.resize(size, method)
    return np.asarray(image).reshape(SIDE, SIDE, channels)


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    if image.mode.startswith("I"):  # Pillow would cut 16 bits off at 255
        values = np.asarray(image)  # [height, width]
        return Image.fromarray((values >> 8 if values.max() > 255 else values).astype(np.uint8)).convert(mode)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert(mode)


def in_threads(work: Callable[[T], np.ndarray | None], items: Iterable[T]) -> Iterator[np.ndarray | None]:
    """`work` on each item, in order, a few at a time: Pillow decodes outside Python's lock."""
    with ThreadPoolExecutor(min(8, cpu_count() or 1)) as pool:
        items = iter(items)
        while some := list(islice(items, _TOGETHER)):
            yield from pool.map(work, some)
