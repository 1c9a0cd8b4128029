"""The four MPI3D data sets: a robot arm that carries an object (Gondal et al. 2019), 64x64 RGB, CC BY 4.0.

The official `.npz` has one array, `images`, uint8 `[n, 64, 64, 3]`, in row-major order of the factors (the vertical
axis varies fastest), without labels. It is uncompressed, 12.7 GB, and memory-mapped in place; a compressed file is
unpacked once. The three checksums were published for an earlier address of the same files: a file that differs is kept,
with a warning. The fourth file comes from a mirror, without a published checksum.
"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

from datasets import array_file
from datasets.factor_dataset import FactorDataset
from datasets.spec import DataFile, DatasetSpec
from datasets.store import build, mapped, read_ahead, stamp

FACTORS = {
    "color": 6,
    "shape": 6,
    "size": 2,
    "camera_height": 3,
    "background_color": 3,
    "horizontal_axis": 40,
    "vertical_axis": 40,
}
_PAGE = "https://github.com/rr-learning/disentanglement_dataset"
_ADDRESS = "https://huggingface.co/datasets/waleedgondal/mpi3d/resolve/main"
_MIRROR = "https://huggingface.co/datasets/randall-lab/mpi3d-complex/resolve/main"


def load(name: str, factors: dict[str, int], path: Path, *, progress: bool = True) -> FactorDataset:
    """Load the data set `name` with these factors from its file. Raises UserError if the file is not as expected."""
    sizes = list(factors.values())
    shape = (math.prod(sizes), 64, 64, 3)
    with array_file.npz(path) as file:
        file.require("images", "uint8", *shape)  # files of the challenge have fewer colours and shapes
        offset = file.stored_at("images")
        if offset is not None:
            array = mapped(path, shape, offset)
            read_ahead(path)
        else:
            rows = lambda: file.rows("images")  # noqa: E731
            array = build(name, path, "raw", stamp(path), shape, rows, progress=progress).images
    return FactorDataset(name, path.name, list(factors), sizes, array)


def spec(
    name: str, shows: str, file: DataFile, factors: dict[str, int] = FACTORS, source: str = "downloaded (12.7 GB)"
) -> DatasetSpec:
    """The spec of one of the four; `shows`: the arm carries it."""
    return DatasetSpec(
        title=f"MPI3D {name.partition('_')[2]}: a robot arm that carries {shows} (Gondal et al. 2019)",
        factors=factors,
        source=f"MPI Tübingen, {source}",
        licence="CC BY 4.0",
        load=partial(load, name, factors),
        files=(file,),
    )


def _file(name: str, checksum: str = "", address: str = _ADDRESS) -> DataFile:
    return DataFile(name, f"{address}/{name}", checksum, _PAGE, earlier=bool(checksum))


TOY = spec(
    "mpi3d_toy", "an object, rendered in a simple style", _file("mpi3d_toy.npz", "md5:55889cb7c7dfc655d6e0277beee88868")
)
REALISTIC = spec(
    "mpi3d_realistic",
    "an object, rendered realistically",
    _file("mpi3d_realistic.npz", "md5:59a6225b88b635365f70c91b3e52f70f"),
)
REAL = spec("mpi3d_real", "an object, photographed", _file("mpi3d_real.npz", "md5:0f33f609918fb5c97996692f91129802"))
COMPLEX = spec(
    "mpi3d_complex",
    "real objects, photographed",
    _file("real3d_complicated_shapes_ordered.npz", address=_MIRROR),
    {**FACTORS, "color": 4, "shape": 4},
    "downloaded from a mirror (5.7 GB)",
)
