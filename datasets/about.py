"""What each data set is, in words: `python -m datasets --list`, `main.py --help-data`, the table in docs/data.md."""

from __future__ import annotations

from dataclasses import dataclass

from datasets import DATASETS, OPTIONS, described, find
from datasets.locate import files_of


@dataclass(frozen=True)
class About:
    """One data set in words.

    title: what it shows.
    images: how many, as published.
    factors: their names with numbers of values, in order, the last one fastest; or words for them.
    source: who made it, and where it comes from.
    licence: as its publisher states it.
    tested: on what its loader was tested here.
    """

    title: str
    images: str
    factors: dict[str, int] | str
    source: str
    licence: str
    tested: str


def factors_of(about: About) -> str:
    """`shape 3, scale 6, ...`, or the words for them."""
    if isinstance(about.factors, str):
        return about.factors
    return ", ".join(f"{name} {size}" for name, size in about.factors.items())


def checksums(name: str) -> str:
    """Whether the files of a data set can be verified."""
    files = files_of(find(name))
    known = sum(bool(file.checksum) for file in files)
    if not files:
        return "not needed"
    return "known" if known == len(files) else "unverified" if not known else f"known for {known} of {len(files)} files"


def describe(name: str) -> str:
    """All that is known of a data set, a line each."""
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
        lines[OPTIONS[option]] = described(values)
    width = max(map(len, lines)) + 2
    return "\n".join(f"{key:{width}}{value}" for key, value in lines.items())


def table() -> str:
    """All data sets in Markdown, for docs/data.md."""
    rows = ["| `--dataset` | images | factors, the last one fastest | source, licence | checksum | loader tested on |"]
    rows += ["|---|---|---|---|---|---|"]
    for name in DATASETS:
        about = find(name).ABOUT
        cells = [f"`{name}`", about.images, factors_of(about), f"{about.source}; {about.licence}", checksums(name)]
        rows.append("| " + " | ".join([*cells, about.tested]) + " |")
    return "\n".join(rows)
