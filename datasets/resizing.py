"""Converts images of any size and mode to uint8 `[64, 64, channels]`."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from PIL import Image, ImageOps

SIDE = 64
RESIZE = ("crop", "pad", "stretch")


def is_deep(image: Image.Image) -> bool:
    """Whether a pixel has more than 8 bits."""
    return image.mode.startswith(("I", "F"))


def is_grey(image: Image.Image) -> bool:
    """Whether the image mode has no colours."""
    return image.mode in ("1", "L", "LA") or is_deep(image)


def resized(
    image: Image.Image | np.ndarray,
    channels: int,
    resize: str = "stretch",
    middle: int | None = None,
    white: int = 2**16 - 1,
    mask: bool = False,
) -> np.ndarray:
    """Resize an image to 64x64, with Pillow's LANCZOS.

    Args:
        image: of Pillow, or uint8 `[h, w]`, `[h, w, 1]` or `[h, w, 3]`.
        channels: 1 (grey) or 3. Transparent pixels become white.
        resize: `crop` to the central square, `pad` with black to a square, or `stretch`; then resize.
        white: the value that stands for white in images of more than 8 bits.
        mask: in images of 8 bits 1 stands for white. It becomes 255 before resampling, which would round most of a thin
            object to 0.
        middle: first crop the central square of this side in pixels; None: use the whole image.

    Returns: uint8 `[64, 64, channels]`. Errors of Pillow for undecodable files are not caught.
    """
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image[..., 0] if image.shape[2:] == (1,) else image)
    image = _convert_mode(image, "L" if channels == 1 else "RGB", white, mask)
    if middle is not None:
        left, upper = ((length - middle) // 2 for length in image.size)
        image = image.crop((left, upper, left + middle, upper + middle))
    size, method = (SIDE, SIDE), Image.Resampling.LANCZOS
    if image.size != size:
        if resize == "crop":
            image = ImageOps.fit(image, size, method)
        elif resize == "pad":
            image = ImageOps.pad(image, size, method)
        else:
            image = image.resize(size, method)
    return np.asarray(image).reshape(SIDE, SIDE, channels)


def _convert_mode(image: Image.Image, mode: str, white: int, mask: bool) -> Image.Image:
    if is_deep(image):  # Pillow would clip at 255
        scaled = np.asarray(image, np.float64) * (255 / white)
        return Image.fromarray(np.clip(np.rint(scaled), 0, 255).astype(np.uint8)).convert(mode)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if mask:
        image = image.convert("L" if is_grey(image) else "RGB").point(lambda value: 255 * value)
    return image.convert(mode)


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
