"""FashionMNIST: 70,000 pieces of clothing, grey (Xiao, Rasul, Vollgraf 2017), in MNIST's format, without factors.

Its files have MNIST's names: keep the two in different folders. Resizing as in `datasets.mnist`.
"""

from __future__ import annotations

from pathlib import Path

from datasets.about import About
from datasets.digits import OPTIONS, load_files, parts
from datasets.factor_dataset import FactorDataset
from datasets.files import DataFile

CHECKSUMS = {
    "train-images-idx3-ubyte.gz": "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "t10k-images-idx3-ubyte.gz": "md5:bef4ecab320f06d8554ea6380940ec79",
}
ABOUT = About(
    title="FashionMNIST: pieces of clothing (Xiao et al. 2017)",
    images="70,000 (train 60,000, test 10,000)",
    factors="none",
    source="Zalando, fetched",
    licence="MIT",
    tested="miniatures",
)

__all__ = ["ABOUT", "CHECKSUMS", "OPTIONS", "files", "load"]


def files(part: str = "all", **_) -> tuple[DataFile, ...]:
    """The images of each split."""
    return parts(part, "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/", CHECKSUMS)


def load(directory: Path, *, part: str = "all", resize: str = "stretch", progress: bool = True) -> FactorDataset:
    """Training images, then test images. Raises UserError for wrong files."""
    return load_files("fashion_mnist", directory, files(part), part, resize, progress)
