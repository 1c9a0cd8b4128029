"""smallNORB: grey stereo photographs of 50 toys (Huang, LeCun 2004); images of the left camera, as in other work.

Factors: category, instance, elevation, azimuth, lighting, the last varying fastest. Azimuths are published as 0, 2, ...
34 and halved here. Both splits are joined, as in disentanglement_lib, with 10 instances of each category;
disentanglement_lib draws the instance at random, here it is a factor. Resized from 96x96 to 64x64 with Pillow's
LANCZOS, as in disentanglement_lib.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np

from datasets.assemble import assemble
from datasets.binary_matrix import REMEDY, read_rows, read_shape
from datasets.factor_dataset import FactorDataset
from datasets.resizing import resized
from datasets.spec import DataFile, DatasetSpec
from system.errors import UserError

FACTORS = {"category": 5, "instance": 10, "elevation": 9, "azimuth": 18, "lighting": 6}
_PAGE = "https://cs.nyu.edu/~ylclab/data/norb-v1.0-small/"
_CHECKSUMS = {  # the digits are the instances of the split
    "46789x9x18x6x2x96x96-training-dat": "66054832f9accfe74a0f4c36a75bc0a2",
    "46789x9x18x6x2x96x96-training-cat": "23c8b86101fbf0904a000b43d3ed2fd9",
    "46789x9x18x6x2x96x96-training-info": "51dee1210a742582ff607dfd94e332e3",
    "01235x9x18x6x2x96x96-testing-dat": "e4ad715691ed5a3a5f138751a4ceb071",
    "01235x9x18x6x2x96x96-testing-cat": "5aa791cd7e6016cf957ce9bdb93b8603",
    "01235x9x18x6x2x96x96-testing-info": "a9454f3864d7fd4bb3ea7fc3eb84924e",
}


def _file(name: str, checksum: str) -> DataFile:
    stem = f"smallnorb-5x{name}.mat"
    return DataFile(f"{stem}.gz", f"{_PAGE}{stem}.gz", f"md5:{checksum}", _PAGE, unpacked=stem)


def load(*paths: Path, progress: bool = True) -> FactorDataset:
    """Load both splits from the official files. Raises UserError if a file is not as expected."""
    tables = [_labels(*paths[start + 1 : start + 3]) for start in (0, 3)]
    images = chain.from_iterable(_left_images(path, len(table)) for path, table in zip(paths[::3], tables, strict=True))
    labels, to_size = np.concatenate(tables), partial(resized, channels=1)  # [n, 5]
    return assemble(
        "smallnorb", paths, list(FACTORS), labels, images, to_size, 1, source="smallnorb all", progress=progress
    )


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
    factors=FACTORS,
    source="New York University, downloaded",
    licence="for research, may not be sold",
    load=load,
    files=tuple(_file(name, checksum) for name, checksum in _CHECKSUMS.items()),
)
