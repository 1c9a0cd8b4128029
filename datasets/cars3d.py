"""Cars3D: 183 car models from 24 azimuths and 4 elevations, RGB (Reed et al. 2015, Deep Visual Analogy-Making).

Factors as in disentanglement_lib: elevation, azimuth, object, the object varying fastest. Objects are in the order of
`data/cars/list.txt`, as in disent; disentanglement_lib uses the order of the directory listing, which is not defined.
Resized from 128x128 to 64x64 with Pillow's LANCZOS, as disentanglement_lib; `--resample bilinear`: as disent.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

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
_CARS = PurePosixPath("data/cars")


def load(path: Path, *, resample: str = "lanczos", progress: bool = True) -> FactorDataset:
    """Load the data set from the official archive. Raises UserError if its contents are not as expected."""
    with archive.opened(path) as (names, read):
        if f"{_CARS}/list.txt" not in names:
            raise UserError(
                f"{path}: expected {_CARS}/list.txt and a .mat file for each car, found none: {FETCH_AGAIN}"
            )
        order = read(f"{_CARS}/list.txt").decode().split()
        members = {f"{_CARS}/{PurePosixPath(name).stem}.mat": number for number, name in enumerate(order)}
        if missing := sorted(members.keys() - set(names)):
            raise UserError(f"{path}: {missing[0]} of its list.txt is missing: {FETCH_AGAIN}")
        stored = [name for name in names if name in members]  # fast to read in this order
        elevations, azimuths, cars = FACTORS["elevation"], FACTORS["azimuth"], len(order)
        grid = np.arange(elevations * azimuths * cars).reshape(elevations, azimuths, cars)
        places = np.concatenate([grid[:, :, members[name]].ravel() for name in stored])  # [n]

        def views():
            for name in stored:
                yield from _views(path, name, read(name), elevations, azimuths)  # [128, 128, 3] each

        def to_size(view: np.ndarray) -> np.ndarray:
            return resized(Image.fromarray(view), 3, resample=resample)

        packed = pack("cars3d", [path], (resample,), views, to_size, grid.size, 3, places=places, progress=progress)
    sizes = (elevations, azimuths, cars)
    source = path.name if sizes == tuple(FACTORS.values()) else f"{path.name}, {cars} cars"
    return FactorDataset("cars3d", source, list(FACTORS), sizes, packed.images, (64, 64, 3))


def _views(path: Path, name: str, content: bytes, elevations: int, azimuths: int) -> np.ndarray:
    """The images of one car, the azimuth varying fastest: uint8 `[elevations * azimuths, height, width, 3]`."""
    im = archive.matlab(path, name, content, "im")  # [height, width, 3, azimuth, elevation]
    if im.dtype != np.uint8 or im.ndim != 5 or im.shape[2:] != (3, azimuths, elevations):
        expected = f"uint8 [128, 128, 3, {azimuths}, {elevations}]"
        raise UserError(
            f"{path}: expected im of {name} to be {expected}, found {im.dtype} {list(im.shape)}: {FETCH_AGAIN}"
        )
    views = im.transpose(4, 3, 0, 1, 2)  # [elevation, azimuth, height, width, 3]
    return np.ascontiguousarray(views).reshape(-1, *im.shape[:3])


SPEC = DatasetSpec(
    title="Cars3D: car models seen from around (Reed et al. 2015)",
    images="17,568",
    factors=FACTORS,
    source="Scott Reed, downloaded",
    licence="none stated",
    tested="miniatures",
    load=load,
    files=(FILE,),
    options={"resample": tuple(RESAMPLE)},
)
