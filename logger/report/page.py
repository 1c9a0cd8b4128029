"""Renders a page: pictures embedded, text escaped, no other file referred to."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jinja2
import numpy as np
from PIL import Image

from logger import grids
from logger.catalogue import PICTURES
from logger.reading import Run

TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


class Figure(NamedTuple):
    """A picture. source: data URI. width: in CSS pixels."""

    source: str
    width: int
    title: str
    caption: str = ""


def chart_figure(picture: np.ndarray, title: str, caption: str = "") -> Figure:
    """Embed a chart, uint8 `[Y, X, 3]`, at twice the resolution of the page."""
    return Figure(_data_uri(grids.png_bytes(picture)), picture.shape[1] // 2, title, caption)


def picture_of(run: Run, name: str) -> Figure | str | None:
    """A picture of the catalogue; a sentence instead if its file is damaged; None if it was not drawn."""
    entry, path = PICTURES[name], run.pictures.get(name)
    if path is None:
        return None
    try:
        content = path.read_bytes()
        with Image.open(path) as image:
            width = image.width
            image.verify()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return f"{entry.title}: {path.name} cannot be read ({error}). Evaluate the run again to draw it."
    return Figure(_data_uri(content), width, entry.title, entry.reading)


def _data_uri(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(content).decode('ascii')}"


def render(template: str, runs: Sequence[Run], left_out: Sequence[str], notes: Sequence[str], **content) -> str:
    """Render the template of this name. Runs of replicas, and what was left out, have notes above the given ones."""
    sources = [str(record.get("data_source")) for run in runs for record in (run.args, run.protocol)]
    replica = any(source.startswith("replica") for source in sources)
    return TEMPLATES.get_template(template).render(replica=replica, left_out=left_out, notes=notes, **content)
