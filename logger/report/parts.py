"""The pieces that a report is made of, and the one page made of them. The template escapes all text."""

from __future__ import annotations

import base64
import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from logger import grids
from logger.catalogue import PICTURES


class Cell(NamedTuple):
    """A cell of a table: its text, the name in the log behind it, and a smaller line below."""

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
    """Columns from `numbers_from` on are set as numbers. folded: the title under which the table lies folded."""

    head: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]
    numbers_from: int = 1
    folded: str = ""


@dataclass
class Figure:
    """A picture in the page. width: in pixels of the page."""

    source: str
    width: int
    alt: str
    title: str
    caption: str


@dataclass
class Panels:
    """Small figures that stand side by side as far as the screen is wide."""

    figures: Sequence[Figure]
    caption: str = ""


@dataclass
class Section:
    """A part of the page under its heading."""

    title: str
    anchor: str
    parts: list = field(default_factory=list)


def render(title: str, lead: str, notes: Sequence[str], sections: Sequence[Section]) -> str:
    """The whole document, with no reference to anything outside it. Sections without parts are left out."""
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


def drawn(picture: np.ndarray, title: str, alt: str, caption: str = "") -> Figure:
    """A chart made for the report: uint8 `[Y, X, 3]` at twice the resolution of the page."""
    return Figure(_data_uri(grids.png_bytes(picture), ".png"), picture.shape[1] // 2, alt, title, caption)


def stored(path: Path, name: str) -> Figure | Text:
    """A picture of the catalogue with how to read it; a line in its place where the file is damaged."""
    from PIL import Image

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
