"""3D Chairs: 1,393 rendered chairs from 2 elevations and 31 azimuths, RGB on white (Aubry et al. 2014).

Read from the archive without unpacking it. Models are in the order of `all_chair_names.mat`, views in the order of
elevation and azimuth. The whole image of about 600x600 is resized to 64x64, as in disentangling-vae and 1Konny's
FactorVAE. `--channels 1` converts to grey, as disentangling-vae does.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import numpy as np

from datasets import archive
from datasets.assemble import assemble
from datasets.factor_dataset import FactorDataset
from datasets.spec import FETCH_AGAIN, DataFile, DatasetSpec
from system.errors import UserError

FILE = DataFile(
    name="rendered_chairs.tar",
    url="https://www.di.ens.fr/willow/research/seeing3Dchairs/data/rendered_chairs.tar",
    page="https://www.di.ens.fr/willow/research/seeing3Dchairs/",
    unpacked="rendered_chairs",
)
FACTORS = {"model": 1393, "elevation": 2, "azimuth": 31}
_LIST = "rendered_chairs/all_chair_names.mat"
_NAME = re.compile(r"rendered_chairs/([^/]+)/renders/image_\d+_p(\d+)_t(\d+)_r\d+\.png")


def load(path: Path, *, channels: int = 3, progress: bool = True) -> FactorDataset:
    """Load the data set from the archive or the unpacked folder. Raises UserError if they are not as expected."""
    with archive.opened(path) as file:
        views = [(name, *match.groups()) for name in file.names if (match := _NAME.fullmatch(name))]
        file.require([_LIST])
        cells = file.matlab(_LIST, "folder_names").ravel()
        order = {str(np.asarray(cell).ravel()[0]): number for number, cell in enumerate(cells)}
        if missing := sorted({model for _, model, *_ in views} - order.keys()):
            raise UserError(f"{path}: the chair {missing[0]} is not in all_chair_names.mat: {FETCH_AGAIN}")
        labels = np.array([(order[model], int(p), int(t)) for _, model, p, t in views]).reshape(-1, 3)  # [n, 3]
        models = len(set(labels[:, 0]))
        source = path.name if models == FACTORS["model"] else f"{path.name}, {models} chairs"
        chairs, to_size = file.contents(name for name, *_ in views), partial(file.picture, channels=channels)
        return assemble(
            "chairs3d", [path], list(FACTORS), labels, chairs, to_size, channels, source=source, progress=progress
        )


SPEC = DatasetSpec(
    title="3D Chairs: rendered chairs (Aubry et al. 2014)",
    factors=FACTORS,
    source="INRIA Willow, downloaded",
    licence="none stated",
    load=load,
    files=(FILE,),
    options={"channels": (1, 3)},
)
