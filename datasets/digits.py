"""What MNIST and FashionMNIST share: IDX files of 28x28 grey images, one for each split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from datasets.binary_matrix import read_idx
from datasets.factor_dataset import FactorDataset
from datasets.files import DataFile
from datasets.packing import pack, stamp
from datasets.resizing import in_threads, resized
from system.errors import UserError

OPTIONS = {"part": ("all", "train", "test"), "resize": ("stretch", "pad")}
_SPLITS = {"all": ("train", "t10k"), "train": ("train",), "test": ("t10k",)}
_PADDING = 2  # pixels on each side: 28 -> 32
_REMEDY = "move it away and fetch it again"


def parts(part: str, address: str, checksums: dict[str, str]) -> tuple[DataFile, ...]:
    """The files of images of the splits wanted."""
    names = [f"{split}-images-idx3-ubyte.gz" for split in _SPLITS[part]]
    return tuple(
        DataFile(name, address + name, b"\x1f\x8b", checksums[name], address, unpacked=name.removesuffix(".gz"))
        for name in names
    )


def load_files(
    name: str, directory: Path, files: tuple[DataFile, ...], part: str, resize: str, progress: bool
) -> FactorDataset:
    """The images of the files, one after the other, at 64x64. Raises UserError for wrong ones."""
    from datasets.locate import path_of

    paths = [path_of(directory, file, alone=False) for file in files]
    for file, path in zip(files, paths, strict=True):
        _check_is_not_the_other(name, file, path)
    count = sum(_count(path) for path in paths)

    def images():
        for path in paths:
            rows = read_idx(path, _REMEDY)
            next(rows)
            yield from rows

    def to_size(pixels: np.ndarray) -> np.ndarray:
        image = Image.fromarray(pixels)  # [28, 28]
        return resized(ImageOps.expand(image, _PADDING) if resize == "pad" else image, 1)

    array, _, _ = pack(
        paths[0],
        name,
        (part, resize),
        {"files": [stamp(path) for path in paths]},
        count,
        1,
        lambda: in_threads(to_size, images()),
        progress=progress,
    )
    return FactorDataset(name, f"{name} {part}", [], [], array, factors=np.zeros((count, 0), np.int64))


def _count(path: Path) -> int:
    shape = next(read_idx(path, _REMEDY))
    if len(shape) != 3 or 0 in shape:
        raise UserError(f"{path}: expected images [n, 28, 28], found {list(shape)}: {_REMEDY}")
    return shape[0]


def _check_is_not_the_other(name: str, file: DataFile, path: Path) -> None:
    """Raises UserError where the file is that of the other set, which has the same name."""
    from datasets import fashion_mnist, mnist
    from datasets.download import is_published

    other_name, other = ("fashion_mnist", fashion_mnist) if name == "mnist" else ("mnist", mnist)
    theirs = DataFile(file.name, "", b"", other.CHECKSUMS[file.name])
    if path.name == file.name and is_published(theirs, path):
        raise UserError(f"--data-path {path} is the file of {other_name}, which has the same name: name another folder")
