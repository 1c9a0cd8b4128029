"""3D Chairs: 1,393 rendered chairs from 2 elevations and 31 azimuths, RGB on white (Aubry et al. 2014).

Read from the archive, nothing is unpacked. Models are in the order of `all_chair_names.mat`, views in that of elevation
and azimuth. The whole picture of about 600x600 becomes 64x64 (`--crop full`), as in disentangling-vae and 1Konny's
FactorVAE; `center400` takes the square of 400 pixels in the middle first. `--channels 1` makes grey images, as in the
first of the two.
"""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from datasets import archive
from datasets.about import About, listed
from datasets.factor_dataset import FactorDataset
from datasets.files import DataFile
from datasets.grid import find_grid, numbered
from datasets.packing import pack, stamp
from datasets.resizing import RESAMPLE, in_threads, resized
from system.errors import UserError

FILE = DataFile(
    name="rendered_chairs.tar",
    url="https://www.di.ens.fr/willow/research/seeing3Dchairs/data/rendered_chairs.tar",
    magic=b"",
    page="https://www.di.ens.fr/willow/research/seeing3Dchairs/",
    unpacked="rendered_chairs",
)
FACTORS = {"model": 1393, "elevation": 2, "azimuth": 31}
OPTIONS = {"crop": ("full", "center400"), "channels": (1, 3), "resample": tuple(RESAMPLE)}
ABOUT = About(
    title="3D Chairs: rendered chairs (Aubry et al. 2014)",
    images="86,366",
    factors=listed(FACTORS),
    source="INRIA Willow, fetched",
    licence="none stated",
    tested="miniatures",
)
_NAME = re.compile(r"rendered_chairs/([^/]+)/renders/image_\d+_p(\d+)_t(\d+)_r\d+\.png")
_SIDE = 400
_REMEDY = "name another file, or move this one away and fetch it again"


def load(
    path: Path, *, crop: str = "full", channels: int = 3, resample: str = "lanczos", progress: bool = True
) -> FactorDataset:
    """The data set in the published archive or its folder. Raises UserError, naming expected and found."""
    with archive.opened(path, _REMEDY) as (names, read):
        views = [(name, *found.groups()) for name in names if (found := _NAME.fullmatch(name))]
        order = _order(path, names, read)
        if missing := sorted({model for _, model, *_ in views} - order.keys()):
            raise UserError(f"{path}: the chair {missing[0]} is not in all_chair_names.mat: {_REMEDY}")
        labels = [(order[model], int(elevation), int(azimuth)) for _, model, elevation, azimuth in views]
        levels, sizes = numbered(np.array(labels, np.int64).reshape(-1, 3))
        places = find_grid(levels, sizes)
        if places is None:
            found = f"{len(views)} images of {sizes[0]} chairs, {sizes[1]} elevations and {sizes[2]} azimuths"
            raise UserError(f"{path}: expected every chair from every side, found {found}: {_REMEDY}")

        def chair(item: tuple[str, bytes]) -> np.ndarray:
            try:
                with Image.open(BytesIO(item[1])) as image:
                    return resized(image, channels, "stretch", resample, _box(image.size, crop))
            except Exception as error:  # a decoder may raise anything on a broken file
                raise UserError(f"{path}: {item[0]} cannot be read ({error}): {_REMEDY}") from None

        array, _, _ = pack(
            path,
            "chairs3d",
            (crop, resample),
            {"file": stamp(path), "names": len(names)},
            len(views),
            channels,
            lambda: in_threads(chair, ((name, read(name)) for name, *_ in views)),
            places=places,
            progress=progress,
        )
    source = path.name if sizes == tuple(FACTORS.values()) else f"{path.name}, {sizes[0]} chairs"
    return FactorDataset("chairs3d", source, list(FACTORS), sizes, array, (64, 64, channels))


def _order(path: Path, names: list[str], read) -> dict[str, int]:
    """Chair -> its number, by the publisher's list."""
    from scipy.io import loadmat

    member = "rendered_chairs/all_chair_names.mat"
    if member not in names:
        raise UserError(f"{path}: expected {member} and rendered_chairs/<chair>/renders/, found no list: {_REMEDY}")
    try:
        cells = loadmat(BytesIO(read(member)), variable_names=["folder_names"])["folder_names"].ravel()
        return {str(np.asarray(cell).ravel()[0]): number for number, cell in enumerate(cells)}
    except Exception as error:  # SciPy raises many kinds for a file that it cannot parse
        raise UserError(f"{path}: {member} cannot be read ({error}): {_REMEDY}") from None


def _box(size: tuple[int, int], crop: str) -> tuple[int, int, int, int] | None:
    """The part of a picture of that width and height that is used."""
    if crop == "full":
        return None
    left, upper = ((length - _SIDE) // 2 for length in size)
    return (left, upper, left + _SIDE, upper + _SIDE)
