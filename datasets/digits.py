"""MNIST and FashionMNIST: 28x28 grey images without factors, 60,000 of training and then 10,000 of test, in IDX files.

The paper shows MNIST qualitatively. Both sets use the same file names: keep them in different folders. Images are
resized to 64x64 with Pillow's LANCZOS; `--resize pad` first pads them to 32x32 with black, as some implementations do.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from datasets.assemble import stored_images
from datasets.binary_matrix import REMEDY, read_rows, read_shape
from datasets.factor_dataset import FactorDataset
from datasets.files import is_official
from datasets.resizing import resized
from datasets.spec import DataFile, DatasetSpec
from system.errors import UserError

_PADDING = 2  # pixels on each side: 28 -> 32


def _files(address: str, train: str, test: str) -> tuple[DataFile, ...]:
    stems = {"train-images-idx3-ubyte": train, "t10k-images-idx3-ubyte": test}
    return tuple(
        DataFile(f"{stem}.gz", f"{address}{stem}.gz", f"md5:{md5}", address, unpacked=stem)
        for stem, md5 in stems.items()
    )


FILES = {
    "mnist": _files(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "9fb629c4189551a2d022fa330f9573f3",
    ),
    "fashion_mnist": _files(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "bef4ecab320f06d8554ea6380940ec79",
    ),
}


def load(name: str, *paths: Path, resize: str = "stretch", progress: bool = True) -> FactorDataset:
    """Load training images, then test images, resized to 64x64. Raises UserError if a file is not as expected."""
    other = "fashion_mnist" if name == "mnist" else "mnist"
    for file, path in zip(FILES[other], paths, strict=True):
        if path.suffix == ".gz" and is_official(file, path):
            raise UserError(f"--data-path {path} is the file of {other}, which has the same name: name another folder")
    shapes = [read_shape(path) for path in paths]
    for path, shape in zip(paths, shapes, strict=True):
        if len(shape) != 3 or 0 in shape:
            raise UserError(f"{path}: expected images [n, 28, 28], found {list(shape)}: {REMEDY}")
    padding = _PADDING if resize == "pad" else 0
    images = (np.pad(image, padding) for path in paths for image in read_rows(path))
    count, to_size = sum(shape[0] for shape in shapes), partial(resized, channels=1)
    stored = stored_images(name, paths, resize, images, to_size, count, 1, progress=progress)
    return FactorDataset(name, f"{name} all", [], [], stored.images)


MNIST = DatasetSpec(
    title="MNIST: handwritten digits (LeCun et al. 1998)",
    images="70,000",
    factors="none",
    source="downloaded from a mirror, since the publisher's address no longer works",
    licence="CC BY-SA 3.0 according to Keras",
    load=partial(load, "mnist"),
    files=FILES["mnist"],
    options={"resize": ("stretch", "pad")},
)
FASHION_MNIST = replace(
    MNIST,
    title="FashionMNIST: pieces of clothing (Xiao et al. 2017)",
    source="Zalando, downloaded",
    licence="MIT",
    load=partial(load, "fashion_mnist"),
    files=FILES["fashion_mnist"],
)
