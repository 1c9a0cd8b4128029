"""MPI3D real: the arm photographed. See `datasets.mpi3d`.

The checksum was published for an earlier address of the same file.
"""

from __future__ import annotations

from pathlib import Path

from datasets.about import About, listed
from datasets.factor_dataset import FactorDataset
from datasets.files import DataFile
from datasets.mpi3d import FACTORS, LICENCE, PAGE, TESTED, load_file

FILE = DataFile(
    name="mpi3d_real.npz",
    url="https://huggingface.co/datasets/waleedgondal/mpi3d/resolve/main/mpi3d_real.npz",
    magic=b"PK\x03\x04",
    checksum="md5:0f33f609918fb5c97996692f91129802",
    page=PAGE,
)
ABOUT = About(
    title="MPI3D real: a robot arm that carries an object, photographed (Gondal et al. 2019)",
    images="1,036,800",
    factors=listed(FACTORS),
    source="MPI Tübingen, fetched (12.7 GB)",
    licence=LICENCE,
    tested=TESTED,
)


def load(path: Path, *, progress: bool = True) -> FactorDataset:
    """The data set in the published file. Raises UserError when the file is not what it should be."""
    return load_file("mpi3d_real", path, FACTORS, progress)
