"""MPI3D complex: photographs of the arm with four real objects of four colours. See `datasets.mpi3d`.

Its address is a mirror, and no checksum of the file is published.
"""

from __future__ import annotations

from pathlib import Path

from datasets import mpi3d
from datasets.about import About, listed
from datasets.factor_dataset import FactorDataset
from datasets.files import DataFile

FILE = DataFile(
    name="real3d_complicated_shapes_ordered.npz",
    url="https://huggingface.co/datasets/randall-lab/mpi3d-complex/resolve/main/real3d_complicated_shapes_ordered.npz",
    magic=b"PK\x03\x04",
    page=mpi3d.PAGE,
)
FACTORS = {**mpi3d.FACTORS, "color": 4, "shape": 4}
ABOUT = About(
    title="MPI3D complex: a robot arm that carries real objects, photographed (Gondal et al. 2019)",
    images="460,800",
    factors=listed(FACTORS),
    source="MPI Tübingen, fetched from a mirror (5.3 GB)",
    licence=mpi3d.LICENCE,
    tested=mpi3d.TESTED,
)


def load(path: Path, *, progress: bool = True) -> FactorDataset:
    """The data set in the published file. Raises UserError when the file is not what it should be."""
    return mpi3d.load_file("mpi3d_complex", path, FACTORS, progress)
