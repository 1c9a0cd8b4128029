"""Descriptions of the data sets, for `python -m datasets --list`, `main.py --help-data` and docs/data.md."""

from __future__ import annotations

from dataclasses import dataclass

from datasets import DATASETS, OPTIONS, describe_values, find
from datasets.locate import files_of


@dataclass(frozen=True)
class About:
    """Description of a data set.

    title: what the images show.
    images: the number of images, as text.
    factors: name -> number of values, the last factor varying fastest; or a text.
    source: author and origin.
    licence: as stated by the publisher.
    tested: the files that the loader was tested on.
    """

    title: str
    images: str
    factors: dict[str, int] | str
    source: str
    licence: str
    tested: str


def factors_of(about: About) -> str:
    """The factors as text: `shape 3, scale 6, ...`."""
    if isinstance(about.factors, str):
        return about.factors
    return ", ".join(f"{name} {size}" for name, size in about.factors.items())


def checksums(name: str) -> str:
    """Whether checksums of the files of a data set are known, as text."""
    files = files_of(find(name))
    known = sum(bool(file.checksum) for file in files)
    if not files:
        return "not needed"
    return "known" if known == len(files) else "unverified" if not known else f"known for {known} of {len(files)} files"


def describe(name: str) -> str:
    """The description of a data set, one line per item."""
    module = find(name)
    about, files = module.ABOUT, files_of(module)
    lines = {
        name: about.title,
        "images": about.images,
        "factors": factors_of(about),
        "source": about.source,
        "licence": about.licence,
        "files": ", ".join(file.name for file in files) or "your own",
        "checksum": checksums(name),
        "loader tested on": about.tested,
    }
    for option, values in getattr(module, "OPTIONS", {}).items():
        lines[OPTIONS[option]] = describe_values(values)
    width = max(map(len, lines)) + 2
    return "\n".join(f"{key:{width}}{value}" for key, value in lines.items())


def table() -> str:
    """A Markdown table of all data sets, for docs/data.md."""
    rows = ["| `--dataset` | images | factors, the last one fastest | source, licence | checksum | loader tested on |"]
    rows += ["|---|---|---|---|---|---|"]
    for name in DATASETS:
        about = find(name).ABOUT
        cells = [f"`{name}`", about.images, factors_of(about), f"{about.source}; {about.licence}", checksums(name)]
        rows.append("| " + " | ".join([*cells, about.tested]) + " |")
    return "\n".join(rows)
