"""MPI3D realistic: the arm simulated realistically. See `datasets.mpi3d`.

The checksum was published for an earlier address of the same file.
"""

from __future__ import annotations

from pathlib import Path

from datasets.about import About, listed
from datasets.factor_dataset import FactorDataset
from datasets.files import DataFile
from datasets.mpi3d import FACTORS, LICENCE, PAGE, TESTED, load_file

FILE = DataFile(
    name="mpi3d_realistic.npz",
    url="https://huggingface.co/datasets/waleedgondal/mpi3d/resolve/main/mpi3d_realistic.npz",
    magic=b"PK\x03\x04",
    checksum="md5:59a6225b88b635365f70c91b3e52f70f",
    page=PAGE,
)
ABOUT = About(
    title="MPI3D realistic: a robot arm that carries an object, simulated realistically (Gondal et al. 2019)",
    images="1,036,800",
    factors=listed(FACTORS),
    source="MPI Tübingen, fetched (12.7 GB)",
    licence=LICENCE,
    tested=TESTED,
)


def load(path: Path, *, progress: bool = True) -> FactorDataset:
    """The data set in the published file. Raises UserError when the file is not what it should be."""
    return load_file("mpi3d_realistic", path, FACTORS, progress)
