"""dSprites: 737,280 binary 64x64 images of a shape on black (Matthey, Higgins, Hassabis, Lerchner, 2017).

The official `.npz` holds 3 GB, compressed. On first use it is converted to a file of 377 MB next to it, with eight
pixels per byte, which is then memory-mapped.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from datasets import array_file
from datasets.conversion import convert_once, write_images
from datasets.factor_dataset import FactorDataset
from datasets.grid import grid_sizes
from datasets.spec import FETCH_AGAIN, DataFile, DatasetSpec, Replica
from system.errors import UserError

FILE = DataFile(
    name="dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz",
    url="https://github.com/deepmind/dsprites-dataset/raw/master/dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz",
    magic=array_file.NPZ_MAGIC,
    checksum="git-blob:d98996d3f8ee1550e06b9d4ed78d0beb478910d5",
)
REPLICA = Replica("dsprites", "datasets.render.dsprites:render_file", version=1)
FACTORS = {"shape": 3, "scale": 6, "orientation": 40, "pos_x": 32, "pos_y": 32}
LEFT_OUT = ("shape",)  # the reference leaves it out of MIG and factor leakage
_COLUMNS = {"color": 1, **FACTORS}  # the official file counts the one colour as a factor
_PIXELS = 64 * 64


def load(path: Path, *, fixed_shape: int | None = None, progress: bool = True) -> FactorDataset:
    """Load the data set from a file of the official layout.

    Args:
        fixed_shape: keep only the images of this shape (0 square, 1 ellipse, 2 heart), without the factor `shape`.

    Raises: UserError if the file is not as expected.
    """
    with array_file.npz(path) as file:
        # Checksums stored in the file identify its contents, independent of its date.
        key = {name: file.stored(name).CRC for name in ("imgs", "latents_classes")}
        images, note = convert_once(
            path,
            "dsprites",
            ".packed.npy",
            {**key, "marks": _marks(file)},
            file.stored("imgs").file_size // 8,
            lambda handle: _convert(file, handle, progress),
        )
    sizes = note["factor_sizes"]
    names = list(FACTORS)
    if fixed_shape is not None:
        if fixed_shape not in range(sizes[0]):
            raise UserError(f"--fixed_shape {fixed_shape}: {path} has shapes 0 to {sizes[0] - 1}")
        each = len(images) // sizes[0]
        images = images[fixed_shape * each : (fixed_shape + 1) * each]  # shape is the slowest factor: one block
        names, sizes = names[1:], sizes[1:]
    source = "replica" if note["replica"] else path.name
    return FactorDataset("dsprites", source, names, sizes, images, pixel_max=1, left_out=LEFT_OUT, packed=True)


def _marks(file: array_file.NpzFile) -> list[str]:
    return [name for name in ("replica", "subset") if name in file]


def _convert(file: array_file.NpzFile, handle: BinaryIO, progress: bool) -> dict:
    """Pack the images into a `.npy` file, some at a time. Returns the sizes of the factors and if it is a replica."""
    count = file.require("imgs", "uint8", None, 64, 64)
    file.require("latents_classes", "integers", count, len(_COLUMNS))
    file.require("latents_values", "floats", count, len(_COLUMNS))
    marks = _marks(file)
    sizes = grid_sizes(file.path, file.read("latents_classes"), _COLUMNS, marked=bool(marks))
    if sizes[0] != 1:
        raise UserError(f"{file.path}: expected one colour, found {sizes[0]}")
    write_images(handle, (count, _PIXELS // 8), _packed_images(file), "packing dSprites once", progress)
    return {"factor_sizes": list(sizes[1:]), "replica": "replica" in marks}


def _packed_images(file: array_file.NpzFile) -> Iterator[np.ndarray]:
    """Yields the images, some at a time, eight pixels per byte: uint8 `[m, 512]`."""
    for images in file.rows("imgs"):
        if images.max() > 1:
            raise UserError(f"{file.path}: expected pixels 0 and 1, found {images.max()}: {FETCH_AGAIN}")
        yield np.packbits(images.reshape(-1, _PIXELS), axis=1)


SPEC = DatasetSpec(
    title="dSprites: a white shape on black (Matthey et al. 2017)",
    factors=FACTORS,
    source="DeepMind, downloaded; a replica without --data-path",
    licence="Apache-2.0",
    tested="miniatures; the replica, all 737,280",
    load=load,
    files=(FILE,),
    options={"fixed_shape": range(FACTORS["shape"])},
    replica=REPLICA,
)
