"""3D Chairs: 1,393 rendered chairs from 2 elevations and 31 azimuths, RGB on white (Aubry et al. 2014).

Read from the archive without unpacking it. Models are in the order of `all_chair_names.mat`, views in the order of
elevation and azimuth. The whole image of about 600x600 is resized to 64x64 (`--crop full`), as in disentangling-vae and
1Konny's FactorVAE; `center400` first crops the central square of 400 pixels. `--channels 1` converts to grey, as
disentangling-vae does.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import numpy as np

from datasets import archive
from datasets.factor_dataset import FactorDataset
from datasets.grid import find_grid, to_levels
from datasets.packing import pack
from datasets.resizing import RESAMPLE
from datasets.spec import FETCH_AGAIN, DataFile, DatasetSpec
from system.errors import UserError

FILE = DataFile(
    name="rendered_chairs.tar",
    url="https://www.di.ens.fr/willow/research/seeing3Dchairs/data/rendered_chairs.tar",
    magic=b"",
    page="https://www.di.ens.fr/willow/research/seeing3Dchairs/",
    unpacked="rendered_chairs",
)
FACTORS = {"model": 1393, "elevation": 2, "azimuth": 31}
CROPS = {"full": None, "center400": 400}  # side of the central square in pixels
_LIST = "rendered_chairs/all_chair_names.mat"
_NAME = re.compile(r"rendered_chairs/([^/]+)/renders/image_\d+_p(\d+)_t(\d+)_r\d+\.png")


def load(
    path: Path, *, crop: str = "full", channels: int = 3, resample: str = "lanczos", progress: bool = True
) -> FactorDataset:
    """Load the data set from the archive or the unpacked folder. Raises UserError if they are not as expected."""
    with archive.opened(path) as file:
        views = [(name, *match.groups()) for name in file.names if (match := _NAME.fullmatch(name))]
        file.require([_LIST])
        cells = file.matlab(_LIST, "folder_names").ravel()
        order = {str(np.asarray(cell).ravel()[0]): number for number, cell in enumerate(cells)}
        if missing := sorted({model for _, model, *_ in views} - order.keys()):
            raise UserError(f"{path}: the chair {missing[0]} is not in all_chair_names.mat: {FETCH_AGAIN}")
        labels = [(order[model], int(elevation), int(azimuth)) for _, model, elevation, azimuth in views]
        levels, sizes = to_levels(np.array(labels, np.int64).reshape(-1, 3))
        places = find_grid(levels, sizes)
        if places is None:
            found = f"{len(views)} images of {sizes[0]} chairs, {sizes[1]} elevations and {sizes[2]} azimuths"
            raise UserError(f"{path}: expected every chair from every side, found {found}: {FETCH_AGAIN}")
        form, chairs = (crop, resample), file.contents(name for name, *_ in views)
        to_size = partial(file.picture, channels=channels, resample=resample, middle=CROPS[crop])
        packed = pack("chairs3d", [path], form, chairs, to_size, len(views), channels, places=places, progress=progress)
    source = path.name if sizes == tuple(FACTORS.values()) else f"{path.name}, {sizes[0]} chairs"
    return FactorDataset("chairs3d", source, list(FACTORS), sizes, packed.images)


SPEC = DatasetSpec(
    title="3D Chairs: rendered chairs (Aubry et al. 2014)",
    factors=FACTORS,
    source="INRIA Willow, downloaded",
    licence="none stated",
    load=load,
    files=(FILE,),
    options={"crop": tuple(CROPS), "channels": (1, 3), "resample": tuple(RESAMPLE)},
)
