"""User data in a folder: every PNG, JPEG, WebP and BMP file in it or below, resized to 64x64 (docs/your_data.md)."""

from __future__ import annotations

import errno
import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from datasets.assemble import stored_images
from datasets.factor_dataset import FactorDataset
from datasets.resizing import RESIZE, Range, is_deep, is_grey, resized
from datasets.spec import DatasetSpec
from datasets.store import named, stamp
from system.errors import UserError

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
PASSING = (errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE)  # errors that say nothing of the file
READING = 3  # to increase whenever pixels are read in another way: older packed copies are then made again
_SHOWN = 10  # number of unreadable files to name on the screen


def check(path: Path) -> None:
    """Raises UserError unless the path is a folder with at least one image."""
    if not path.is_dir():
        raise UserError(f"--data-path {path} is not a folder: --dataset images wants a folder of pictures")
    if not _pictures(path):
        raise UserError(f"--data-path {path}: no {', '.join(ENDINGS)} file is in it or below it: name another folder")


def load(path: Path, *, channels: int | None = None, resize: str = "crop", progress: bool = True) -> FactorDataset:
    """Load the images in the order of their paths, without factors.

    EXIF orientation is applied. `channels` None: grey if all files are grey, else RGB. Files that cannot be read are
    skipped and named on stderr. Raises UserError if no file can be read.
    """
    files = _pictures(path)
    channels, values = channels or _channels(files), Range()

    def pictures() -> Iterator[Path]:
        values.find(_ranges(files))
        yield from files

    def read(file: Path) -> np.ndarray | None:
        try:
            with Image.open(file) as image:
                upright = ImageOps.exif_transpose(image)
                return resized(upright, channels, resize, white=values.white, mask=values.mask)
        except MemoryError:
            raise UserError(f"{file}: not enough memory to read it: make it smaller, or free memory") from None
        except Exception as error:  # decoders raise many types on broken files
            if isinstance(error, OSError) and error.errno in PASSING:
                raise UserError(f"{file} cannot be read at the moment ({error.strerror}): repeat") from None
            return None

    how: dict[str, Any] = {"key": _fingerprint(path, files), "said": values.said, "progress": progress}
    stored = stored_images("images", [path.resolve()], resize, pictures(), read, len(files), channels, **how)
    left_out = set(stored.note["left_out"])
    _report_skipped(path, [files[number] for number in sorted(left_out)])
    names = [file.relative_to(path).as_posix() for number, file in enumerate(files) if number not in left_out]
    return FactorDataset("images", named(path, stored.note["crc32"]), [], [], stored.images, item_names=names)


def _pictures(folder: Path) -> list[Path]:
    """All images in the folder and below, sorted by path, without hidden files and folders.

    Links to folders are followed; a folder that is reached twice counts once. Raises UserError for folders that cannot
    be read.
    """

    def refuse(error: OSError):
        raise UserError(f"--data-path: {error.filename} cannot be read ({error.strerror}): check its permissions")

    found, seen = [], set()
    for directory, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        real = os.path.realpath(directory)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        found += [Path(directory, n) for n in names if n.lower().endswith(ENDINGS) and not n.startswith(".")]
    # No pipes, which would be waited for; but files whose status cannot be read, which are reported as unreadable.
    found = [file for file in found if os.path.isfile(file) or not os.path.exists(file)]
    return sorted(found, key=lambda file: file.relative_to(folder).as_posix())


def _channels(files: list[Path]) -> int:
    """1 if every file that can be opened is grey, else 3."""
    for file in files:
        try:
            with Image.open(file) as image:
                if not is_grey(image):
                    return 3
        except Exception:  # `load` reports it
            continue
    return 1


def _ranges(files: list[Path]) -> Iterator[tuple[bool, Callable[[], int]]]:
    """For `Range.find`: of each file that can be opened, if it is deep, and a function that reads its largest value."""
    for file in files:
        with suppress(Exception), Image.open(file) as image:  # `load` reports it
            yield is_deep(image), partial(_largest, image)


def _largest(image: Image.Image) -> int:
    """The largest value of any channel, after what is transparent has become white; 0 if it cannot be read."""
    with suppress(Exception):  # `load` reports it
        if image.has_transparency_data:
            return 255
        plain = image if is_deep(image) else image.convert("L" if is_grey(image) else "RGB")
        return max(0, int(np.asarray(plain).max()))
    return 0


def _fingerprint(folder: Path, files: list[Path]) -> str:
    """A hash of the paths, sizes and dates of the files."""
    listing: list[list] = []
    for file in files:
        listing.append([file.relative_to(folder).as_posix()])
        with suppress(OSError):  # of a broken link
            listing[-1] += stamp(file)[0]
    return hashlib.sha256(repr((READING, listing)).encode()).hexdigest()


def _report_skipped(folder: Path, skipped: list[Path]) -> None:
    if skipped:
        names = [file.relative_to(folder).as_posix() for file in skipped[:_SHOWN]]
        more = f" and {len(skipped) - _SHOWN} more" if len(skipped) > _SHOWN else ""
        print(f"skipped {len(skipped)} files that cannot be read: {', '.join(names)}{more}", file=sys.stderr)


SPEC = DatasetSpec(
    title="your own images in a folder",
    images="any number",
    factors="none",
    source="--data-path DIR",
    licence="yours",
    tested="folders written by the tests",
    load=load,
    options={"channels": (1, 3), "resize": RESIZE},
    check=check,
    wanted="name a folder of pictures",
)
