"""MNIST: 70,000 handwritten digits, grey (LeCun, Cortes, Burges 1998). A qualitative set of the paper, without factors.

From 28x28 to 64x64 by Pillow's LANCZOS, `--resize stretch`; `pad` first adds black to 32x32, as some in the field do.
"""

from __future__ import annotations

from pathlib import Path

from datasets.about import About
from datasets.digits import OPTIONS, load_files, parts
from datasets.factor_dataset import FactorDataset
from datasets.files import DataFile

CHECKSUMS = {
    "train-images-idx3-ubyte.gz": "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "t10k-images-idx3-ubyte.gz": "md5:9fb629c4189551a2d022fa330f9573f3",
}
ABOUT = About(
    title="MNIST: handwritten digits (LeCun et al. 1998)",
    images="70,000 (train 60,000, test 10,000)",
    factors="none",
    source="a mirror of the publisher's address, which is dead, fetched",
    licence="CC BY-SA 3.0 as Keras has it",
    tested="miniatures",
)

__all__ = ["ABOUT", "CHECKSUMS", "OPTIONS", "files", "load"]


def files(part: str = "all", **_) -> tuple[DataFile, ...]:
    """The images of each split."""
    return parts(part, "https://ossci-datasets.s3.amazonaws.com/mnist/", CHECKSUMS)


def load(directory: Path, *, part: str = "all", resize: str = "stretch", progress: bool = True) -> FactorDataset:
    """Training digits, then test digits. Raises UserError for wrong files."""
    return load_files("mnist", directory, files(part), part, resize, progress)
