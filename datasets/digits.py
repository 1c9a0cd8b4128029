"""MNIST and FashionMNIST: 28x28 grey images without factors, in one IDX file per split.

The paper shows MNIST qualitatively. Both sets use the same file names: keep them in different folders. Images are
resized to 64x64 with Pillow's LANCZOS; `--resize pad` first pads them to 32x32 with black, as some implementations do.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from datasets.binary_matrix import REMEDY, read_rows, read_shape
from datasets.factor_dataset import FactorDataset
from datasets.fetch import is_official
from datasets.packing import pack
from datasets.resizing import resized
from datasets.spec import DataFile, DatasetSpec
from system.errors import UserError

ADDRESSES = {
    "mnist": "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "fashion_mnist": "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
}
CHECKSUMS = {
    "mnist": {"train": "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873", "t10k": "md5:9fb629c4189551a2d022fa330f9573f3"},
    "fashion_mnist": {"train": "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d", "t10k": "md5:bef4ecab320f06d8554ea6380940ec79"},
}
_SPLITS = {"all": ("train", "t10k"), "train": ("train",), "test": ("t10k",)}
_PADDING = 2  # pixels on each side: 28 -> 32


def files(name: str, part: str = "all", **_) -> tuple[DataFile, ...]:
    """The image file of each split of the data set `name`."""
    return tuple(_file(name, split) for split in _SPLITS[part])


def _file(name: str, split: str) -> DataFile:
    stem, address = f"{split}-images-idx3-ubyte", ADDRESSES[name]
    return DataFile(f"{stem}.gz", f"{address}{stem}.gz", b"\x1f\x8b", CHECKSUMS[name][split], address, unpacked=stem)


def load(name: str, *paths: Path, part: str = "all", resize: str = "stretch", progress: bool = True) -> FactorDataset:
    """Load training images, then test images, resized to 64x64. Raises UserError if a file is not as expected."""
    _check_are_not_the_other(name, part, paths)
    shapes = [read_shape(path) for path in paths]
    for path, shape in zip(paths, shapes, strict=True):
        if len(shape) != 3 or 0 in shape:
            raise UserError(f"{path}: expected images [n, 28, 28], found {list(shape)}: {REMEDY}")
    count = sum(shape[0] for shape in shapes)
    padding = _PADDING if resize == "pad" else 0
    images = (np.pad(image, padding) for path in paths for image in read_rows(path))
    packed = pack(name, paths, (part, resize), images, partial(resized, channels=1), count, 1, progress=progress)
    return FactorDataset(name, f"{name} {part}", [], [], packed.images)


def _check_are_not_the_other(name: str, part: str, paths: tuple[Path, ...]) -> None:
    """Raises UserError if a file, by its checksum, is that of the other data set."""
    other = "fashion_mnist" if name == "mnist" else "mnist"
    for file, path in zip(files(other, part), paths, strict=True):
        if path.suffix == ".gz" and is_official(file, path):
            raise UserError(f"--data-path {path} is the file of {other}, which has the same name: name another folder")


MNIST = DatasetSpec(
    title="MNIST: handwritten digits (LeCun et al. 1998)",
    images="70,000 (train 60,000, test 10,000)",
    factors="none",
    source="downloaded from a mirror, since the publisher's address no longer works",
    licence="CC BY-SA 3.0 according to Keras",
    load=partial(load, "mnist"),
    files=partial(files, "mnist"),
    options={"part": tuple(_SPLITS), "resize": ("stretch", "pad")},
)
FASHION_MNIST = replace(
    MNIST,
    title="FashionMNIST: pieces of clothing (Xiao et al. 2017)",
    source="Zalando, downloaded",
    licence="MIT",
    load=partial(load, "fashion_mnist"),
    files=partial(files, "fashion_mnist"),
)
