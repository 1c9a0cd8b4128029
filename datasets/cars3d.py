"""Cars3D: 183 car models from 24 azimuths and 4 elevations, RGB (Reed et al. 2015, Deep Visual Analogy-Making).

Factors as in disentanglement_lib: elevation, azimuth, object, the object varying fastest. Objects are in the order of
`data/cars/list.txt`, as in disent; disentanglement_lib uses the order of the directory listing, which is not defined.
Resized from 128x128 to 64x64 with Pillow's LANCZOS, as disentanglement_lib; `--resample bilinear`: as disent.
"""

from __future__ import annotations

from functools import partial
from itertools import chain
from pathlib import Path, PurePosixPath

import numpy as np

from datasets import archive
from datasets.factor_dataset import FactorDataset
from datasets.packing import pack
from datasets.resizing import RESAMPLE, resized
from datasets.spec import FETCH_AGAIN, DataFile, DatasetSpec
from system.errors import UserError

FILE = DataFile(
    name="nips2015-analogy-data.tar.gz",
    url="http://www.scottreed.info/files/nips2015-analogy-data.tar.gz",
    magic=b"\x1f\x8b",
    checksum="md5:4e866a7919c1beedf53964e6f7a23686",
)
FACTORS = {"elevation": 4, "azimuth": 24, "object": 183}
_LIST = "data/cars/list.txt"


def load(path: Path, *, resample: str = "lanczos", progress: bool = True) -> FactorDataset:
    """Load the data set from the official archive. Raises UserError if its contents are not as expected."""
    with archive.opened(path) as file:
        file.require([_LIST])
        order = file.read(_LIST).decode().split()
        members = {f"data/cars/{PurePosixPath(name).stem}.mat": number for number, name in enumerate(order)}
        file.require(members)
        stored = [name for name in file.names if name in members]  # fast to read in this order
        elevations, azimuths, cars = FACTORS["elevation"], FACTORS["azimuth"], len(order)
        grid = np.arange(elevations * azimuths * cars).reshape(elevations, azimuths, cars)
        places = np.concatenate([grid[:, :, members[name]].ravel() for name in stored])  # [n]
        views = chain.from_iterable(_views(file, name, elevations, azimuths) for name in stored)  # [128, 128, 3] each
        to_size = partial(resized, channels=3, resample=resample)
        packed = pack("cars3d", [path], (resample,), views, to_size, grid.size, 3, places=places, progress=progress)
    sizes = (elevations, azimuths, cars)
    source = path.name if sizes == tuple(FACTORS.values()) else f"{path.name}, {cars} cars"
    return FactorDataset("cars3d", source, list(FACTORS), sizes, packed.images)


def _views(file: archive.Archive, name: str, elevations: int, azimuths: int) -> np.ndarray:
    """The images of one car, the azimuth varying fastest: uint8 `[elevations * azimuths, height, width, 3]`."""
    im = file.matlab(name, "im")  # [height, width, 3, azimuth, elevation]
    if im.dtype != np.uint8 or im.ndim != 5 or im.shape[2:] != (3, azimuths, elevations):
        expected = f"uint8 [128, 128, 3, {azimuths}, {elevations}]"
        raise UserError(
            f"{file.path}: expected im of {name} to be {expected}, found {im.dtype} {list(im.shape)}: {FETCH_AGAIN}"
        )
    views = im.transpose(4, 3, 0, 1, 2)  # [elevation, azimuth, height, width, 3]
    return np.ascontiguousarray(views).reshape(-1, *im.shape[:3])


SPEC = DatasetSpec(
    title="Cars3D: car models seen from around (Reed et al. 2015)",
    factors=FACTORS,
    source="Scott Reed, downloaded",
    licence="none stated",
    load=load,
    files=(FILE,),
    options={"resample": tuple(RESAMPLE)},
)
