"""Pictures of any size and mode -> uint8 `[64, 64, channels]`."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageOps

SIDE = 64
RESIZE = ("crop", "pad", "stretch")
RESAMPLE = {"lanczos": Image.Resampling.LANCZOS, "bilinear": Image.Resampling.BILINEAR}


def is_grey(image: Image.Image) -> bool:
    """Whether the file stores no colours."""
    return image.mode in ("1", "L", "LA") or image.mode.startswith(("I", "F"))


def resized(
    image: Image.Image,
    channels: int,
    resize: str = "stretch",
    resample: str = "lanczos",
    middle: int | None = None,
) -> np.ndarray:
    """A picture brought to 64x64.

    Args:
        channels: 1 (grey) or 3. Transparent pixels become white, 16 bits become 8.
        resize: `crop` to the square in the middle, `pad` with black to a square, or `stretch`; then resample.
        resample: `lanczos` or `bilinear`, Pillow's, which average over all source pixels when they shrink.
        middle: pixels to a side of the square in the middle that is used at all; None: the whole picture.

    Returns: uint8 `[64, 64, channels]`. Raises what Pillow raises for a file that it cannot decode.
    """
    image = _in_mode(image, "L" if channels == 1 else "RGB")
    if middle is not None:
        left, upper = ((length - middle) // 2 for length in image.size)
        image = image.crop((left, upper, left + middle, upper + middle))
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
