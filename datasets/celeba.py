"""CelebA: 202,599 photographs of faces, aligned and cropped to 178x218, RGB (Liu, Luo, Wang, Tang 2015).

The publisher requires agreement to a licence, so nothing is downloaded: `--data-path` must hold `img_align_celeba.zip`
(or the unpacked folder) and `list_attr_celeba.txt`; `--part` also needs `list_eval_partition.txt`.

Crops differ in the literature: `--crop center148` (default) is the central square of 148 pixels, as in many VAEs;
`full` squeezes the whole image, as disentangling-vae; `face128` takes columns 25 to 152 and rows 45 to 172. The 40
attributes are binary factors. Not all combinations occur, so they are a table, not a grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from datasets import archive
from datasets.factor_dataset import FactorDataset
from datasets.grid import to_levels
from datasets.packing import pack
from datasets.resizing import RESAMPLE
from datasets.spec import DataFile, DatasetSpec
from system.errors import UserError, first_line

if TYPE_CHECKING:
    import pandas

PAGE = "http://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
CROPS = {"center148": 148, "full": None, "face128": 128}  # side of the central square in pixels
PARTS = {"all": (0, 1, 2), "train": (0,), "valid": (1,), "test": (2,)}
_IMAGES = DataFile(
    "img_align_celeba.zip", "", b"PK\x03\x04", "md5:00d2c5bc6d35e252742224ab0c1e8fcb", PAGE, unpacked="img_align_celeba"
)
_ATTRIBUTES = DataFile("list_attr_celeba.txt", "", b"", "md5:75e246fa4810816ffd6ee81facbd244c", PAGE)
_PARTITION = DataFile("list_eval_partition.txt", "", b"", "md5:d32c9cbf5e040fd4025c592c306e6668", PAGE)
_REMEDY = f"get it again at {PAGE}"


def files(part: str = "all", **_) -> tuple[DataFile, ...]:
    """Images and attributes; with `part` other than `all`, also the partition."""
    return (_IMAGES, _ATTRIBUTES) if part == "all" else (_IMAGES, _ATTRIBUTES, _PARTITION)


def load(
    *paths: Path,
    crop: str = "center148",
    part: str = "all",
    resample: str = "lanczos",
    channels: int = 3,
    progress: bool = True,
) -> FactorDataset:
    """Load the images in the order of their numbers, from `files(part)`. Raises UserError if one is not as expected."""
    source, attributes, *partition = paths
    table = _attributes(attributes)
    if partition:
        table = table[np.isin(_partition(partition[0], table.index), PARTS[part])]
    levels, sizes = to_levels(table.to_numpy())  # [n, 40]
    with archive.opened(source, _REMEDY) as file:
        names = [f"img_align_celeba/{name}" for name in table.index]
        file.require(names)
        form, faces = (crop, part, resample), file.contents(names)
        to_size = partial(file.picture, channels=channels, resample=resample, middle=CROPS[crop])
        packed = pack("celeba", paths, form, faces, to_size, len(names), channels, progress=progress)
    return FactorDataset("celeba", f"celeba {part}, {crop}", list(table), sizes, packed.images, factors=levels)


def _attributes(path: Path) -> pandas.DataFrame:
    """Attributes, -1 or 1: one row per image, indexed by file name, one column per attribute."""
    import pandas

    try:
        with path.open() as file:
            count = int(file.readline())
            table = pandas.read_csv(file, sep=r"\s+")
        if len(table) != count:
            raise ValueError(f"{len(table)} rows for a count of {count}")
        return table.astype(np.int64)
    except ValueError as error:
        raise UserError(
            f"{path}: expected a count, a line of names and a row for each image ({first_line(error)}): {_REMEDY}"
        ) from None


def _partition(path: Path, names: Sequence[str]) -> np.ndarray:
    """0 (train), 1 (valid) or 2 (test) of each image: int64 `[n]`."""
    import pandas

    try:
        return pandas.read_csv(path, sep=r"\s+", header=None, index_col=0)[1].loc[names].to_numpy(np.int64)
    except (ValueError, KeyError) as error:
        raise UserError(
            f"{path}: expected a row with a number 0, 1 or 2 for each image ({first_line(error)}): {_REMEDY}"
        ) from None


SPEC = DatasetSpec(
    title="CelebA: faces, aligned (Liu et al. 2015)",
    images="202,599",
    factors="40 binary attributes: a table, not a grid",
    source="CUHK MMLAB, downloaded by hand after an agreement, from --data-path",
    licence="non-commercial research",
    load=load,
    files=files,
    options={"crop": tuple(CROPS), "part": tuple(PARTS), "resample": tuple(RESAMPLE), "channels": (1, 3)},
)
