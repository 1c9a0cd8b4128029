"""Grids of small images with labels, as arrays and PNG. Drawn with Pillow."""

from __future__ import annotations

import functools
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

MARGIN = 2
FRAME, FRAME_COLOUR = 3, (230, 159, 0)  # one of its pixels covers the image
FONT_SIZE = 22
BACKGROUND, INK, LINE = 255, (30, 30, 30), 160


def grid(images: np.ndarray) -> np.ndarray:
    """uint8 `[rows, columns, height, width, channels]` -> one picture `[Y, X, 3]` with grey lines between images."""
    coloured = np.broadcast_to(images, (*images.shape[:4], 3))  # of one channel, three
    cells = np.pad(coloured, [(0, 0), (0, 0), (MARGIN, 0), (MARGIN, 0), (0, 0)], constant_values=LINE)
    rows, columns, height, width, _ = cells.shape  # with the lines above and to the left
    picture = cells.transpose(0, 2, 1, 3, 4).reshape(rows * height, columns * width, 3)
    return np.pad(picture, [(0, MARGIN), (0, MARGIN), (0, 0)], constant_values=LINE)


def labelled(
    images: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str] | None = None,
    *,
    title: str = "",
    x_label: str = "",
    every: int = 1,
    framed: Sequence[int] = (),
) -> np.ndarray:
    """A grid with row names on the left and column names below.

    Args:
        images: uint8 `[rows, columns, height, width, channels]`.
        rows: names of the rows, of one or two lines.
        columns: names of the columns; None: no names.
        title: text above the grid.
        x_label: text below the grid.
        every: show the name of every n-th column, and of the last one.
        framed: for each row, the column to mark with a coloured frame.
    Returns:
        uint8 `[Y, X, 3]`.
    """
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
    for row, column in enumerate(framed):
        x, y = left + column * pitch_x, top + row * pitch_y
        draw.rectangle((x, y, x + pitch_x + MARGIN - 1, y + pitch_y + MARGIN - 1), outline=FRAME_COLOUR, width=FRAME)
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


def with_header(picture: np.ndarray, image: np.ndarray, name: str) -> np.ndarray:
    """Put an image, uint8 `[height, width, channels]`, with its name on the left, above a picture `[Y, X, 3]`."""
    cell, x = grid(image[None, None]), 18 + _text_width(name)
    width = max(picture.shape[1], x + cell.shape[1] + 24)
    header = Image.new("RGB", (width, len(cell) + 8), (BACKGROUND,) * 3)
    ImageDraw.Draw(header).text((6, header.height / 2), name, INK, _font(), anchor="lm")
    header.paste(Image.fromarray(cell), (x, 4))
    padded = np.pad(picture, ((0, 0), (0, width - picture.shape[1]), (0, 0)), constant_values=BACKGROUND)
    return np.concatenate([np.asarray(header), padded])


def png_bytes(picture: np.ndarray) -> bytes:
    """Encode a picture uint8 `[Y, X, 3]` as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()


@functools.cache
def _font():
    return ImageFont.load_default(size=FONT_SIZE)


def _text_width(text: str) -> int:
    return int(_font().getlength(text)) if text else 0
