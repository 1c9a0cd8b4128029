"""smallNORB: grey stereo photographs of 50 toys (Huang, LeCun 2004); images of the left camera, as in other work.

Factors: category, instance, elevation, azimuth, lighting, the last varying fastest. Azimuths are published as 0, 2, ...
34 and halved here. `--part all` (default) joins both splits, as disentanglement_lib does, with 10 instances of each
category; `train` and `test` have 5 each, as in disent. disentanglement_lib draws the instance at random; here it is a
factor. Resized from 96x96 to 64x64 with Pillow's LANCZOS, as disentanglement_lib; `--resample bilinear`: as disent.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np

from datasets.binary_matrix import REMEDY, read_rows, read_shape
from datasets.factor_dataset import FactorDataset
from datasets.grid import find_grid, to_levels
from datasets.packing import pack
from datasets.resizing import RESAMPLE, resized
from datasets.spec import DataFile, DatasetSpec
from system.errors import UserError

FACTORS = {"category": 5, "instance": 10, "elevation": 9, "azimuth": 18, "lighting": 6}
_CHECKSUMS = {
    "training-dat": "md5:66054832f9accfe74a0f4c36a75bc0a2",
    "training-cat": "md5:23c8b86101fbf0904a000b43d3ed2fd9",
    "training-info": "md5:51dee1210a742582ff607dfd94e332e3",
    "testing-dat": "md5:e4ad715691ed5a3a5f138751a4ceb071",
    "testing-cat": "md5:5aa791cd7e6016cf957ce9bdb93b8603",
    "testing-info": "md5:a9454f3864d7fd4bb3ea7fc3eb84924e",
}
_INSTANCES = {"training": "46789", "testing": "01235"}  # instances of each split, as in the file names
_SPLITS = {"all": ("training", "testing"), "train": ("training",), "test": ("testing",)}
_PAGE = "https://cs.nyu.edu/~ylclab/data/norb-v1.0-small/"


def files(part: str = "all", **_) -> tuple[DataFile, ...]:
    """Images, categories and other labels of each split."""
    names = [f"{split}-{kind}" for split in _SPLITS[part] for kind in ("dat", "cat", "info")]
    return tuple(_file(name) for name in names)


def _file(name: str) -> DataFile:
    stem = f"smallnorb-5x{_INSTANCES[name.split('-')[0]]}x9x18x6x2x96x96-{name}.mat"
    return DataFile(f"{stem}.gz", f"{_PAGE}{stem}.gz", b"\x1f\x8b", _CHECKSUMS[name], _PAGE, unpacked=stem)


def load(*paths: Path, part: str = "all", resample: str = "lanczos", progress: bool = True) -> FactorDataset:
    """Load the splits of `part` from the official files. Raises UserError if a file is not as expected."""
    tables = [_labels(*paths[start + 1 : start + 3]) for start in range(0, len(paths), 3)]
    levels, sizes = to_levels(np.concatenate(tables))  # [n, 5]
    places = find_grid(levels, sizes)
    if places is None:
        raise UserError(
            f"{paths[0].parent}: the labels of smallNORB are no grid, found {sizes}: move its files away and repeat"
        )
    images = chain.from_iterable(_left_images(path, len(table)) for path, table in zip(paths[::3], tables, strict=True))
    form, to_size = (part, resample), partial(resized, channels=1, resample=resample)
    packed = pack("smallnorb", paths, form, images, to_size, len(levels), 1, places=places, progress=progress)
    return FactorDataset("smallnorb", f"smallnorb {part}", list(FACTORS), sizes, packed.images)


def _labels(categories: Path, further: Path) -> np.ndarray:
    """int64 `[n, 5]`: category, instance, elevation, azimuth, lighting."""
    category, rest = (np.array(list(read_rows(path, "i4"))) for path in (categories, further))
    if category.ndim != 1 or rest.shape != (len(category), 4):
        found = f"{list(category.shape)} and {list(rest.shape)}"
        raise UserError(f"{further}: expected categories [n] and labels [n, 4], found {found}: {REMEDY}")
    table = np.column_stack([category, rest]).astype(np.int64)  # [n, 5]
    table[:, 3] //= 2  # published as 0, 2, ... 34, in units of 10 degrees
    return table


def _left_images(path: Path, count: int) -> Iterator[np.ndarray]:
    """The left image of each stereo pair: uint8 `[96, 96]`."""
    shape = read_shape(path)
    if len(shape) != 4 or shape[:2] != (count, 2):
        raise UserError(f"{path}: expected images [{count}, 2, 96, 96], found {list(shape)}: {REMEDY}")
    return (left for left, _ in read_rows(path))


SPEC = DatasetSpec(
    title="smallNORB: photographs of toys (Huang, LeCun 2004)",
    images="48,600, or 24,300 of one split",
    factors=FACTORS,
    source="New York University, downloaded",
    licence="for research, may not be sold",
    load=load,
    files=files,
    options={"part": ("all", "train", "test"), "resample": tuple(RESAMPLE)},
)
