"""What the four sets of MPI3D share: a robot arm that carries an object (Gondal et al. 2019), 64x64 RGB, CC BY 4.0.

The published `.npz` has one array, `images`, uint8 `[n, 64, 64, 3]`, in row-major order of the factors (the vertical
axis is the fastest), without labels. It is stored uncompressed, 12.7 GB, and mapped into memory where it lies; a file
that was compressed anew is unpacked once.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from datasets import npz
from datasets.conversion import mapped
from datasets.factor_dataset import FactorDataset
from datasets.packing import pack, stamp
from system.errors import UserError

FACTORS = {
    "color": 6,
    "shape": 6,
    "size": 2,
    "camera_height": 3,
    "background_color": 3,
    "horizontal_axis": 40,
    "vertical_axis": 40,
}
PAGE = "https://github.com/rr-learning/disentanglement_dataset"
LICENCE = "CC BY 4.0"
TESTED = "miniatures"
_REMEDY = "name another file, or move this one away and fetch it again"


def load_file(name: str, path: Path, factors: dict[str, int], progress: bool) -> FactorDataset:
    """One of the four sets. Raises UserError, naming expected and found, when the file is not right."""
    count = int(np.prod(list(factors.values())))
    expected = (count, 64, 64, 3)
    with npz.opened(path, _REMEDY) as archive:
        shape, fortran, dtype = npz.header(path, archive, "images", _REMEDY)
        if shape != expected or dtype != np.uint8 or fortran:
            raise UserError(
                f"{path}: expected images uint8 {list(expected)}, found {dtype} {list(shape)}, whose factors would be "
                f"wrong (files of the challenge have fewer colours and shapes): {_REMEDY}"
            )
        offset = npz.stored_at(path, archive, "images", _REMEDY)
        if offset is not None:
            array = mapped(path, shape, offset)
        else:
            pieces = npz.rows(path, archive, "images", 256, _REMEDY)
            images = (image for piece in pieces for image in piece)
            array, _, _ = pack(path, name, (), {"file": stamp(path)}, count, 3, lambda: images, progress=progress)
    return FactorDataset(name, path.name, list(factors), list(factors.values()), array, (64, 64, 3))
