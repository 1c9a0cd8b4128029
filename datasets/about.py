"""Descriptions of the data sets, for `python -m datasets --list`, `main.py --help-data` and docs/data.md."""

from __future__ import annotations

from datasets import DATASETS, OPTIONS, describe_values, find
from datasets.locate import files_of
from datasets.spec import DatasetSpec


def factors_of(spec: DatasetSpec) -> str:
    """The factors as text: `shape 3, scale 6, ...`."""
    if isinstance(spec.factors, str):
        return spec.factors
    return ", ".join(f"{name} {size}" for name, size in spec.factors.items())


def checksums(spec: DatasetSpec) -> str:
    """Whether checksums of the files of a data set are known, as text."""
    files = files_of(spec)
    known = sum(bool(file.checksum) for file in files)
    if not files:
        return "not needed"
    if known == 0:
        return "unverified"
    return "known" if known == len(files) else f"known for {known} of {len(files)} files"


def describe(name: str) -> str:
    """The description of a data set, one line per item."""
    spec = find(name)
    lines = {
        name: spec.title,
        "images": spec.images,
        "factors": factors_of(spec),
        "source": spec.source,
        "licence": spec.licence,
        "files": ", ".join(file.name for file in files_of(spec)) or "your own",
        "checksum": checksums(spec),
        "loader tested on": spec.tested,
    }
    for option, values in spec.options.items():
        lines[OPTIONS[option]] = describe_values(values)
    width = max(map(len, lines)) + 2
    return "\n".join(f"{key:{width}}{value}" for key, value in lines.items())


def table() -> str:
    """A Markdown table of all data sets, for docs/data.md."""
    rows = ["| `--dataset` | images | factors, the last one fastest | source, licence | checksum | loader tested on |"]
    rows += ["|---|---|---|---|---|---|"]
    for name in DATASETS:
        spec = find(name)
        cells = [f"`{name}`", spec.images, factors_of(spec), f"{spec.source}; {spec.licence}", checksums(spec)]
        rows.append("| " + " | ".join([*cells, spec.tested]) + " |")
    return "\n".join(rows)
