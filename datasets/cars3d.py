"""Cars3D: 183 car models from 4 elevations and 24 azimuths, RGB (Reed, Zhang, Zhang, Lee 2015).

Read from the archive without unpacking it. The cars are in the order of the archive's list. Resized from 128x128 to
64x64 with Pillow's LANCZOS, as disentanglement_lib.
"""

from __future__ import annotations

from functools import partial
from itertools import chain, product
from pathlib import Path, PurePosixPath

import numpy as np

from datasets import archive
from datasets.assemble import assemble
from datasets.factor_dataset import FactorDataset
from datasets.resizing import resized
from datasets.spec import FETCH_AGAIN, DataFile, DatasetSpec
from system.errors import UserError

FILE = DataFile(
    name="nips2015-analogy-data.tar.gz",
    url="http://www.scottreed.info/files/nips2015-analogy-data.tar.gz",
    checksum="md5:4e866a7919c1beedf53964e6f7a23686",
)
FACTORS = {"elevation": 4, "azimuth": 24, "object": 183}
_LIST = "data/cars/list.txt"


def load(path: Path, *, progress: bool = True) -> FactorDataset:
    """Load the data set from the official archive. Raises UserError if its contents are not as expected."""
    with archive.opened(path) as file:
        file.require([_LIST])
        order = file.read(_LIST).decode().split()
        members = {f"data/cars/{PurePosixPath(name).stem}.mat": number for number, name in enumerate(order)}
        file.require(members)
        stored = [name for name in file.names if name in members]  # fast to read in this order
        sides = list(product(range(FACTORS["elevation"]), range(FACTORS["azimuth"])))
        labels = np.array([(*side, members[name]) for name in stored for side in sides])  # [n, 3]
        views = chain.from_iterable(_views(file, name) for name in stored)  # uint8 [128, 128, 3] each
        source = path.name if len(order) == FACTORS["object"] else f"{path.name}, {len(order)} cars"
        to_size = partial(resized, channels=3)
        return assemble("cars3d", [path], list(FACTORS), labels, views, to_size, 3, source=source, progress=progress)


def _views(file: archive.Archive, name: str) -> np.ndarray:
    """The images of one car, the azimuth varying fastest: uint8 `[elevations * azimuths, height, width, 3]`."""
    im = file.matlab(name, "im")  # [height, width, 3, azimuth, elevation]
    if im.dtype != np.uint8 or im.ndim != 5 or im.shape[2:] != (3, FACTORS["azimuth"], FACTORS["elevation"]):
        expected = f"uint8 [128, 128, 3, {FACTORS['azimuth']}, {FACTORS['elevation']}]"
        raise UserError(
            f"{file.path}: expected im of {name} to be {expected}, found {im.dtype} {list(im.shape)}: {FETCH_AGAIN}"
        )
    return np.ascontiguousarray(im.transpose(4, 3, 0, 1, 2)).reshape(-1, *im.shape[:3])


SPEC = DatasetSpec(
    title="Cars3D: car models seen from around (Reed et al. 2015)",
    factors=FACTORS,
    source="Scott Reed, downloaded",
    licence="none stated",
    load=load,
    files=(FILE,),
)
