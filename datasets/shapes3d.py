"""3D Shapes: 480,000 RGB 64x64 images of an object in a room (Burgess and Kim, 2018).

The official `.h5` is compressed in chunks that span thousands of images, so that reading one image unpacks all of them.
On first use it is converted to an uncompressed file of 5.9 GB next to it, which is then memory-mapped. A file with
uncompressed, contiguous images is memory-mapped in place.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from datasets import array_file
from datasets.conversion import convert_once, mapped, read_ahead, stamp, write_images
from datasets.factor_dataset import FactorDataset
from datasets.grid import grid_sizes
from datasets.spec import DataFile, DatasetSpec, Replica

FILE = DataFile(
    name="3dshapes.h5",
    url="https://storage.googleapis.com/3d-shapes/3dshapes.h5",
    magic=array_file.HDF5_MAGIC,
    checksum="md5:099a2078d58cec4daad0702c55d06868",
)
FACTORS = {"floor_hue": 10, "wall_hue": 10, "object_hue": 10, "scale": 8, "shape": 4, "orientation": 15}
LEFT_OUT = ("floor_hue",)  # the reference leaves it out of MIG and factor leakage
_BYTES = 64 * 64 * 3
SLAB = 2**27 // _BYTES  # minimum number of images read at a time: 134 MB
_LARGEST_SLAB = 2**29 // _BYTES


def load(path: Path, *, progress: bool = True) -> FactorDataset:
    """Load the data set from a file of the official layout. Raises UserError if the file is not as expected."""
    with array_file.hdf5(path) as file:
        count = file.require("images", "uint8", None, 64, 64, 3)
        file.require("labels", "floats", count, len(FACTORS))
        images = file.array("images")
        replica, subset = (bool(file.file.attrs.get(mark, False)) for mark in ("replica", "subset"))
        offset = images.id.get_offset()  # None: in chunks, which may be compressed
        if offset is not None:
            sizes = grid_sizes(path, file.read("labels"), FACTORS, replica or subset)
            array = mapped(path, images.shape, offset)
            read_ahead(path)
        else:
            array, note = convert_once(
                path,
                "shapes3d",
                ".raw.npy",
                {"file": stamp(path)},
                images.size,
                lambda handle: _convert(file, replica or subset, handle, progress),
            )
            sizes = note["factor_sizes"]
    source = "replica" if replica else path.name
    return FactorDataset("shapes3d", source, list(FACTORS), sizes, array, left_out=LEFT_OUT)


def _convert(file: array_file.Hdf5File, marked: bool, handle: BinaryIO, progress: bool) -> dict:
    """Write the images to an uncompressed `.npy` file. Returns the sizes of the factors."""
    sizes = grid_sizes(file.path, file.read("labels"), FACTORS, marked)
    write_images(handle, file.header("images")[0], _slabs(file), "unpacking 3D Shapes once", progress)
    return {"factor_sizes": list(sizes)}


def _slabs(file: array_file.Hdf5File) -> Iterator[np.ndarray]:
    """Yields the images, unpacking every chunk once: uint8 `[m, 64, 64, 3]`, overwritten by the next."""
    images = file.array("images")
    chunk = images.chunks or images.shape
    slab = min(chunk[0] * max(1, SLAB // chunk[0]), _LARGEST_SLAB)  # whole chunks, unless they are too large
    rows = np.empty((min(slab, len(images)), *images.shape[1:]), np.uint8)  # [slab, 64, 64, 3]
    for start in range(0, len(images), slab):
        rows = rows[: len(images) - start]
        # Read one row of chunks at a time: HDF5 takes four times longer to read all rows at once.
        for top in range(0, images.shape[1], chunk[1]):
            for channel in range(0, images.shape[3], chunk[3]):
                part = np.s_[top : top + chunk[1], :, channel : channel + chunk[3]]
                with file.reading():
                    rows[:, *part] = images[start : start + len(rows), *part]
        yield rows


SPEC = DatasetSpec(
    title="3D Shapes: an object in a room (Burgess, Kim 2018)",
    factors=FACTORS,
    source="DeepMind, downloaded; a replica without --data-path",
    licence="Apache-2.0",
    tested="miniatures; the replica, all 480,000",
    load=load,
    files=(FILE,),
    replica=Replica("shapes3d", "datasets.render.shapes3d:render_file", version=1),
)
