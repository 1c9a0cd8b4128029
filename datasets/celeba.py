"""CelebA: 202,599 photographs of faces, aligned and cropped to 178x218, RGB (Liu, Luo, Wang, Tang 2015).

The publisher requires agreement to a licence, so nothing is downloaded: `--data-path` must hold `img_align_celeba.zip`
(or the unpacked folder) and `list_attr_celeba.txt`. The central square of 148 pixels is resized to 64x64, as in many
VAEs. The 40 attributes are binary factors. Not all combinations occur, so they are a table, not a grid.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from datasets import archive
from datasets.assemble import assemble
from datasets.factor_dataset import FactorDataset
from datasets.spec import DataFile, DatasetSpec
from system.errors import UserError, first_line

if TYPE_CHECKING:
    import pandas

PAGE = "http://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
FILES = (
    DataFile("img_align_celeba.zip", "", "md5:00d2c5bc6d35e252742224ab0c1e8fcb", PAGE, unpacked="img_align_celeba"),
    DataFile("list_attr_celeba.txt", "", "md5:75e246fa4810816ffd6ee81facbd244c", PAGE),
)
MIDDLE = 148  # side of the central square in pixels
_REMEDY = f"get it again at {PAGE}"


def load(source: Path, attributes: Path, *, channels: int = 3, progress: bool = True) -> FactorDataset:
    """Load the images in the order of their numbers. Raises UserError if a file is not as expected."""
    table = _attributes(attributes)
    with archive.opened(source, _REMEDY) as file:
        names = [f"img_align_celeba/{name}" for name in table.index]
        file.require(names)
        faces, to_size = file.contents(names), partial(file.picture, channels=channels, middle=MIDDLE)
        paths, labels = (source, attributes), table.to_numpy()  # [n, 40]
        how: dict[str, Any] = {"source": f"celeba all, center{MIDDLE}", "table": True, "progress": progress}
        return assemble("celeba", paths, list(table), labels, faces, to_size, channels, **how)


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


SPEC = DatasetSpec(
    title="CelebA: faces, aligned (Liu et al. 2015)",
    images="202,599",
    factors="40 binary attributes: a table, not a grid",
    source="CUHK MMLAB, downloaded by hand after an agreement, from --data-path",
    licence="non-commercial research",
    load=load,
    files=FILES,
    options={"channels": (1, 3)},
)
