"""The parts of a report, and their rendering as a page. The template escapes all text."""

from __future__ import annotations

import base64
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from logger import grids
from logger.catalogue import PICTURES


class Cell(NamedTuple):
    """A cell of a table. code: name in the log, after the text. below: a smaller line below. strong: bold."""

    text: str
    code: str = ""
    below: str = ""
    strong: bool = False


@dataclass
class Text:
    """A paragraph. kind: `plain`, `soft` (a remark), `note` (a warning) or `heading`."""

    text: str
    kind: str = "plain"


@dataclass
class Table:
    """A table. numbers_from: first column to right-align. folded: if given, collapse the table under this title."""

    head: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]
    numbers_from: int = 1
    folded: str = ""


@dataclass
class Figure:
    """A picture. source: data URI. width: in CSS pixels."""

    source: str
    width: int
    alt: str
    title: str
    caption: str


@dataclass
class Panels:
    """Small figures side by side, wrapped to the width of the screen."""

    figures: Sequence[Figure]
    caption: str = ""


def panels(figures: Sequence[Figure], caption: str = "", otherwise: str = "") -> list[Panels | Text]:
    """The figures side by side; if there are none, the text `otherwise`, if given."""
    if figures:
        return [Panels(figures, caption)]
    return [Text(otherwise)] if otherwise else []


@dataclass
class Section:
    """A section of the page with its heading."""

    title: str
    anchor: str
    parts: list


def render(title: str, lead: str, notes: Sequence[str], sections: Sequence[Section]) -> str:
    """Render the document, which refers to no other file. Sections without parts are left out."""
    sections = [section for section in sections if section.parts]
    return _template().render(title=title, lead=lead, notes=[n for n in notes if n], sections=sections)


@functools.cache
def _template():
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["kind"] = lambda part, name: type(part).__name__ == name
    return environment.get_template("report.html")


def chart_figure(picture: np.ndarray, title: str, alt: str, caption: str = "") -> Figure:
    """Embed a chart, uint8 `[Y, X, 3]`, at twice the resolution of the page."""
    return Figure(_data_uri(grids.png_bytes(picture), ".png"), picture.shape[1] // 2, alt, title, caption)


def picture_figure(path: Path, name: str) -> Figure | Text:
    """Embed a picture of the catalogue with its caption; a note instead if the file is damaged."""
    entry = PICTURES[name]
    try:
        content = path.read_bytes()
        with Image.open(path) as image:
            width = image.width
            image.verify()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return Text(f"{entry.title}: {path.name} cannot be read ({error}). Evaluate the run again to draw it.", "note")
    alt = f"{entry.title}. {entry.reading}"
    return Figure(_data_uri(content, path.suffix), width, alt, entry.title, entry.reading)


def _data_uri(content: bytes, kind: str) -> str:
    return f"data:image/{kind[1:]};base64,{base64.b64encode(content).decode('ascii')}"
