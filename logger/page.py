"""HTML in small pieces. Text is escaped unless it is Html already, so nothing from a run can become markup."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from pathlib import Path

VOID = {"img", "meta", "link"}
KINDS = {".png": "image/png", ".gif": "image/gif"}
WIDE = 620  # pixels: from this width on, a picture keeps its size on a narrow screen and scrolls
# The page may show its own pictures and style, and fetch nothing.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


class Html(str):
    """Text that is markup."""


def element(name: str, /, *content: str, **attributes: str | int | None) -> Html:
    """`<name attributes>content</name>`. An attribute `class_` is class, `aria_label` aria-label; None omits it."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{given}>" if name in VOID else f"<{name}{given}>{join(content)}</{name}>")


def join(pieces: Sequence[str]) -> Html:
    """The pieces after one another, those that are plain text escaped."""
    return Html("".join(piece if isinstance(piece, Html) else html.escape(str(piece)) for piece in pieces))


def table(head: Sequence[str], rows: Sequence[Sequence[str]], numbers_from: int = 1) -> Html:
    """A table that scrolls by itself on a narrow screen; columns from `numbers_from` on are set as numbers."""
    header = element("tr", *[element("th", cell, scope="col") for cell in head])
    body = [
        element("tr", *[element("td", c, class_="number" if i >= numbers_from else None) for i, c in enumerate(row)])
        for row in rows
    ]
    content = element("table", element("thead", header), element("tbody", *body))
    return element("div", content, class_="scroll", tabindex=0)


def figure(content: bytes, kind: str, width: int, alt: str, *caption: str) -> Html:
    """A picture inside the page. kind: `.png` or `.gif`; width in pixels."""
    source = f"data:{KINDS[kind]};base64,{base64.b64encode(content).decode('ascii')}"
    image = element("img", src=source, alt=alt, width=width, class_="wide" if width >= WIDE else None)
    scroll = element("div", image, class_="scroll", tabindex=0)
    below = element("figcaption", *caption) if caption else Html("")
    return element("figure", scroll, below, class_="sideways" if width >= WIDE else None)


def section(title: str, *content: str, anchor: str) -> Html:
    """A part of the page under its heading."""
    return element("section", element("h2", title), *content, id=anchor)


def page(title: str, *content: str) -> str:
    """The whole document, with no reference to anything outside it."""
    style = (Path(__file__).with_name("report.css")).read_text(encoding="utf-8")
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("link", rel="icon", href="data:,"),
        element("title", title),
        element("style", Html(style)),
    )
    return "<!DOCTYPE html>\n" + element("html", head, element("body", element("main", *content)), lang="en") + "\n"
