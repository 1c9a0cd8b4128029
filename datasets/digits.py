"""MNIST and FashionMNIST: 28x28 grey images without factors, in one IDX file per split.

The paper shows MNIST qualitatively. Both sets use the same file names: keep them in different folders. Images are
resized to 64x64 with Pillow's LANCZOS; `--resize pad` first pads them to 32x32 with black, as some implementations do.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from datasets.binary_matrix import REMEDY, read_rows
from datasets.factor_dataset import FactorDataset
from datasets.locate import path_of
from datasets.packing import pack
from datasets.resizing import resized
from datasets.spec import DataFile, DatasetSpec
from system.errors import UserError

_SPLITS = {"all": ("train", "t10k"), "train": ("train",), "test": ("t10k",)}
_PADDING = 2  # pixels on each side: 28 -> 32


@dataclass
class Digits:
    """One of the two data sets.

    name: its name on the command line.
    address: URL of the folder of its files.
    checksums: split -> checksum of its images.
    """

    name: str
    address: str
    checksums: dict[str, str]

    def files(self, part: str = "all", **_) -> tuple[DataFile, ...]:
        """The image file of each split."""
        names = {split: f"{split}-images-idx3-ubyte" for split in _SPLITS[part]}
        return tuple(
            DataFile(
                f"{name}.gz",
                f"{self.address}{name}.gz",
                b"\x1f\x8b",
                self.checksums[split],
                self.address,
                unpacked=name,
            )
            for split, name in names.items()
        )

    def load(
        self, directory: Path, *, part: str = "all", resize: str = "stretch", progress: bool = True
    ) -> FactorDataset:
        """Load training images, then test images, resized to 64x64. Raises UserError if a file is not as expected."""
        paths = [path_of(directory, file) for file in self.files(part)]
        self._check_are_not_the_other(part, paths)
        count = sum(_count(path) for path in paths)

        def images():
            for path in paths:
                rows = read_rows(path)
                next(rows)
                yield from rows

        def to_size(pixels: np.ndarray) -> np.ndarray:
            image = Image.fromarray(pixels)  # [28, 28]
            return resized(ImageOps.expand(image, _PADDING) if resize == "pad" else image, 1)

        packed = pack(self.name, paths, (part, resize), images, to_size, count, 1, progress=progress)
        nothing = np.zeros((count, 0), np.int64)  # [n, 0]
        return FactorDataset(self.name, f"{self.name} {part}", [], [], packed.images, factors=nothing)

    def _check_are_not_the_other(self, part: str, paths: list[Path]) -> None:
        """Raises UserError if a file, by its checksum, is that of the other data set."""
        from datasets.fetch import is_official

        other = DIGITS["fashion_mnist" if self.name == "mnist" else "mnist"]
        for file, path in zip(other.files(part), paths, strict=True):
            if path.suffix == ".gz" and is_official(file, path):
                raise UserError(
                    f"--data-path {path} is the file of {other.name}, which has the same name: name another folder"
                )


def _count(path: Path) -> int:
    shape = next(read_rows(path))
    if len(shape) != 3 or 0 in shape:
        raise UserError(f"{path}: expected images [n, 28, 28], found {list(shape)}: {REMEDY}")
    return shape[0]


def _spec(digits: Digits, title: str, source: str, licence: str) -> DatasetSpec:
    return DatasetSpec(
        title=title,
        images="70,000 (train 60,000, test 10,000)",
        factors="none",
        source=source,
        licence=licence,
        tested="miniatures",
        load=digits.load,
        files=digits.files,
        options={"part": tuple(_SPLITS), "resize": ("stretch", "pad")},
    )


DIGITS = {
    "mnist": Digits(
        "mnist",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        {"train": "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873", "t10k": "md5:9fb629c4189551a2d022fa330f9573f3"},
    ),
    "fashion_mnist": Digits(
        "fashion_mnist",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        {"train": "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d", "t10k": "md5:bef4ecab320f06d8554ea6380940ec79"},
    ),
}
MNIST = _spec(
    DIGITS["mnist"],
    title="MNIST: handwritten digits (LeCun et al. 1998)",
    source="downloaded from a mirror, since the publisher's address no longer works",
    licence="CC BY-SA 3.0 according to Keras",
)
FASHION_MNIST = _spec(
    DIGITS["fashion_mnist"],
    title="FashionMNIST: pieces of clothing (Xiao et al. 2017)",
    source="Zalando, downloaded",
    licence="MIT",
)
