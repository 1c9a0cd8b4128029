"""What a data set declares about itself: the `SPEC` of its module (docs/adding_a_data_set.md)."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from datasets.factor_dataset import FactorDataset

FETCH_AGAIN = "name another file, or move this one away and fetch it again"  # remedy for a wrong or damaged file
# Options of data sets -> their flags on the command line.
OPTIONS = {"fixed_shape": "--fixed_shape", "channels": "--channels", "resize": "--resize"}


@dataclass(frozen=True)
class DataFile:
    """An official file of a data set.

    name: published file name.
    url: download address; empty if the publisher requires a form or a licence first, see `page`.
    checksum: `md5:<hex>`, `sha256:<hex>`, or `git-blob:<hex>` (SHA-1 of `b"blob <size>\\0"` followed by the bytes);
        empty if none is published: a warning then says that the download is unverified.
    page: the web page of the publisher.
    unpacked: name of the unpacked file or folder, if the loader can read it instead.
    earlier: the checksum was published for an earlier address: a download that differs is kept, with a warning.
    """

    name: str
    url: str
    checksum: str = ""
    page: str = ""
    unpacked: str = ""
    earlier: bool = False

    def by_hand(self, directory: Path) -> str:
        """The message for a missing file without `url`."""
        return f"{self.name} must be downloaded by hand: get it at {self.page} and put it into {directory}"


@dataclass(frozen=True)
class DatasetSpec:
    """How to describe, find and load a data set.

    title: what the images show.
    factors: name -> number of values, the last factor varying fastest; or a text.
    source: author and origin.
    licence: as stated by the publisher.
    load: `(*paths, progress, **options) -> FactorDataset`. The paths are those of the official files, one each, or of
        the user's data; None in their place: the replica.
    files: the official files; empty for user data.
    options: option that `load` takes -> its allowed values; flags are in `OPTIONS`.
    images: the number of images, as text; default: all combinations of the factors.
    tested: the files that the loader was tested on; miniatures: small ones of the same format, which the tests write.
    replica: name of the rendering of the official file in the cache, used without `--data-path`; empty: there is none.
    check: user data: raises UserError if the path cannot be right.
    wanted: user data: what `--data-path` must name, for messages.
    """

    title: str
    factors: Mapping[str, int] | str
    source: str
    licence: str
    load: Callable[..., FactorDataset]
    files: tuple[DataFile, ...] = ()
    options: Mapping[str, Collection] = field(default_factory=dict)
    images: str = ""
    tested: str = "miniatures"
    replica: str = ""
    check: Callable[[Path], None] = lambda path: None
    wanted: str = ""

    def description(self) -> dict[str, str]:
        """All that is said of the data set, for `datasets.describe` and the table of docs/data.md."""
        factors, images = self.factors, self.images
        known = sum(bool(file.checksum) for file in self.files)
        if not self.files:
            checksums = "not needed"
        elif known in (0, len(self.files)):
            checksums = "known" if known else "unverified"
        else:
            checksums = f"known for {known} of {len(self.files)} files"
        if not isinstance(factors, str):
            images = images or f"{math.prod(factors.values()):,}"
            factors = ", ".join(f"{name} {size}" for name, size in factors.items())
        lines = {
            "images": images,
            "factors": factors,
            "source": self.source,
            "licence": self.licence,
            "files": ", ".join(file.name for file in self.files) or "your own",
            "checksum": checksums,
            "loader tested on": self.tested,
        }
        return lines | {OPTIONS[option]: allowed(values) for option, values in self.options.items()}


def allowed(values: Collection) -> str:
    """The allowed values of an option, as text."""
    if isinstance(values, range):
        return f"a number from {values.start} to {values.stop - 1}"
    return " or ".join(map(str, values))
