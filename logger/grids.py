"""Grids of small images with labels beside and below them, as arrays, PNG or GIF. Drawn with Pillow."""

from __future__ import annotations

import functools
import io
from collections.abc import Sequence

import numpy as np

MARGIN = 2
FONT_SIZE = 22
BACKGROUND, INK, LINE = 255, (30, 30, 30), 160


def grid(images: np.ndarray) -> np.ndarray:
    """uint8 `[rows, columns, height, width, channels]` -> one picture `[Y, X, 3]`, grey lines between."""
    rows, columns, height, width, _ = images.shape
    picture = np.full((rows * (height + MARGIN) + MARGIN, columns * (width + MARGIN) + MARGIN, 3), LINE, np.uint8)
    for row in range(rows):
        for column in range(columns):
            y, x = MARGIN + row * (height + MARGIN), MARGIN + column * (width + MARGIN)
            picture[y : y + height, x : x + width] = images[row, column]  # one channel spreads over three
    return picture


def labelled(
    images: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str] | None = None,
    *,
    title: str = "",
    x_label: str = "",
    every: int = 1,
) -> np.ndarray:
    """A grid with a name left of each row, and a name below every so-many-th column.

    Args:
        images: uint8 `[rows, columns, height, width, channels]`.
        rows, columns: names; a row's may have two lines.
        title, x_label: above and below the grid.
        every: which columns get their name; the last one always does.
    Returns:
        uint8 `[Y, X, 3]`.
    """
    from PIL import Image, ImageDraw

    cells = grid(images)
    left = 14 + max(_text_width(line) for name in rows for line in (name.split("\n") or [""]))
    top = FONT_SIZE + 12 if title else 4
    below = (FONT_SIZE + 8) * (bool(columns) + bool(x_label)) + 4
    width = max(left + cells.shape[1] + 24, _text_width(title) + 12)
    picture = Image.new("RGB", (width, top + cells.shape[0] + below), (BACKGROUND,) * 3)
    picture.paste(Image.fromarray(cells), (left, top))
    draw, font = ImageDraw.Draw(picture), _font()
    draw.text((6, 4), title, INK, font)
    pitch_y, pitch_x = images.shape[2] + MARGIN, images.shape[3] + MARGIN
    for row, name in enumerate(rows):
        middle = top + MARGIN + row * pitch_y + images.shape[2] / 2
        draw.multiline_text((left - 6, middle), name, INK, font, anchor="rm", align="right", spacing=2)
    y = top + cells.shape[0] + 4
    columns = columns or ()
    for column, name in enumerate(columns):
        if column % every == 0 or column == len(columns) - 1:
            draw.text((left + column * pitch_x + pitch_x / 2, y), name, INK, font, anchor="ma")
    draw.text((left + cells.shape[1] / 2, y + (FONT_SIZE + 8) * bool(columns)), x_label, INK, font, anchor="ma")
    return np.asarray(picture)


def beside(*pictures: np.ndarray) -> np.ndarray:
    """Pictures `[Y, X, 3]` side by side on white."""
    height = max(len(picture) for picture in pictures)
    padded = [np.pad(p, ((0, height - len(p)), (0, 12), (0, 0)), constant_values=BACKGROUND) for p in pictures]
    return np.concatenate(padded, axis=1)


def png_bytes(picture: np.ndarray) -> bytes:
    """uint8 `[Y, X, 3]` -> a PNG file's content."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()


def gif_bytes(frames: Sequence[np.ndarray], milliseconds: int, last: int | None = None) -> bytes:
    """uint8 `[Y, X, 3]` frames of one size -> an endless GIF, each shown so long, the last `last` long.

    A frame that is the same array as an earlier one is worked out once.
    """
    from PIL import Image

    distinct = {id(frame): frame for frame in frames}
    images = {key: Image.fromarray(frame).quantize(64, dither=Image.Dither.NONE) for key, frame in distinct.items()}
    first, *others = [images[id(frame)] for frame in frames]
    durations = [milliseconds] * len(others) + [last or milliseconds]
    buffer = io.BytesIO()
    first.save(buffer, "GIF", save_all=True, append_images=others, duration=durations, loop=0)
    return buffer.getvalue()


@functools.cache
def _font():
    from PIL import ImageFont

    return ImageFont.load_default(size=FONT_SIZE)


def _text_width(text: str) -> int:
    return int(_font().getlength(text)) if text else 0
