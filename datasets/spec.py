"""What a data set declares about itself: the `SPEC` of its module (docs/adding_a_data_set.md)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from datasets.factor_dataset import FactorDataset

FETCH_AGAIN = "name another file, or move this one away and fetch it again"  # remedy for a wrong or damaged file


@dataclass(frozen=True)
class DataFile:
    """An official file of a data set.

    name: published file name.
    url: download address; empty if the publisher requires a form or a licence first, see `page`.
    magic: its first bytes, to detect HTML pages and other wrong files.
    checksum: `md5:<hex>`, `sha256:<hex>`, or `git-blob:<hex>` (SHA-1 of `b"blob <size>\\0"` followed by the bytes);
        empty if none is published: a warning then says that the download is unverified.
    page: the web page of the publisher.
    unpacked: name of the unpacked file or folder, if the loader can read it instead.
    """

    name: str
    url: str
    magic: bytes
    checksum: str = ""
    page: str = ""
    unpacked: str = ""


@dataclass(frozen=True)
class Replica:
    """A rendering of the official file, used without `--data-path`.

    name: its folder in the cache directory.
    render: `module:function`, `(directory, progress) -> path`.
    version: to increase whenever the rendered pixels change.
    """

    name: str
    render: str
    version: int = 1


@dataclass(frozen=True)
class DatasetSpec:
    """How to describe, find and load a data set.

    title: what the images show.
    images: the number of images, as text.
    factors: name -> number of values, the last factor varying fastest; or a text.
    source: author and origin.
    licence: as stated by the publisher.
    tested: the files that the loader was tested on.
    load: `(path, *, progress, **options) -> FactorDataset`. `path` is the official file, the directory of several
        files, or the user's data.
    files: the official files, or a function of the options that returns them; empty for user data.
    options: option that `load` takes -> its allowed values; flags are in `datasets.OPTIONS`.
    replica: None: there is none.
    check: user data: raises UserError if the path cannot be right.
    wanted: user data: what `--data-path` must name, for messages.
    """

    title: str
    images: str
    factors: Mapping[str, int] | str
    source: str
    licence: str
    tested: str
    load: Callable[..., FactorDataset]
    files: tuple[DataFile, ...] | Callable[..., tuple[DataFile, ...]] = ()
    options: Mapping[str, Collection] = field(default_factory=dict)
    replica: Replica | None = None
    check: Callable[[Path], None] = lambda path: None
    wanted: str = ""
