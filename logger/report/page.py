"""Renders a page: pictures embedded, text escaped, no other file referred to."""

from __future__ import annotations

import base64
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from logger import grids
from logger.catalogue import PICTURES
from logger.reading import Run

REPLICA = (
    "The images are a replica of the data set, rendered by this project from the same factors in the same order, "
    "not the official file. Compare with published scores with care."
)


class Figure(NamedTuple):
    """A picture. source: data URI. width: in CSS pixels."""

    source: str
    width: int
    title: str
    caption: str = ""


class Table(NamedTuple):
    """A table. Cells are texts, or (text, smaller line below, whether bold). text_columns: aligned to the left."""

    head: Sequence[str]
    rows: Sequence[Sequence]
    text_columns: int = 1


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


def replica_note(runs: Sequence[Run]) -> str:
    """A warning if a run used a replica; else empty."""
    sources = [str(record.get("data_source")) for run in runs for record in (run.args, run.protocol)]
    return REPLICA if any(source.startswith("replica") for source in sources) else ""


def left_out_note(left_out: Sequence[str]) -> str:
    """A note on runs that could not be read; empty if there are none."""
    return f"{len(left_out)} left out. " + "; ".join(left_out) if left_out else ""


def render(template: str, notes: Sequence[str], **content) -> str:
    """Render the template of this name. Empty notes are left out."""
    return _environment().get_template(template).render(notes=[note for note in notes if note], **content)


@functools.cache
def _environment():
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
