"""3D Shapes: 480,000 RGB 64x64 images of an object in a room (Burgess and Kim, 2018).

The official `.h5` is compressed in chunks that span thousands of images, so that reading one image unpacks all of them.
On first use it is stored in an uncompressed file of 5.9 GB next to it, which is then memory-mapped. A file with
uncompressed, contiguous images is memory-mapped in place. Without a file, the replica is drawn (render/shapes3d.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from datasets import array_file
from datasets.factor_dataset import FactorDataset
from datasets.grid import grid_sizes
from datasets.render.shapes3d import VERSION, all_images
from datasets.spec import DataFile, DatasetSpec
from datasets.store import build, mapped, read_ahead, replica, stamp

FILE = DataFile(
    name="3dshapes.h5",
    url="https://storage.googleapis.com/3d-shapes/3dshapes.h5",
    checksum="md5:099a2078d58cec4daad0702c55d06868",
)
FACTORS = {"floor_hue": 10, "wall_hue": 10, "object_hue": 10, "scale": 8, "shape": 4, "orientation": 15}
LEFT_OUT = ("floor_hue",)  # the reference leaves it out of MIG and factor leakage
_BYTES = 64 * 64 * 3
SLAB = 2**27 // _BYTES  # minimum number of images read at a time: 134 MB
_LARGEST_SLAB = 2**29 // _BYTES


def load(path: Path | None, *, progress: bool = True) -> FactorDataset:
    """Load the data set from a file of the official layout, or the replica. Raises UserError if it is another."""
    sizes: Sequence[int] = tuple(FACTORS.values())
    source = "replica"
    if path is None:
        images = replica("shapes3d", VERSION, (int(np.prod(sizes)), 64, 64, 3), all_images, progress)
    else:
        images, sizes, source = _of_file(path, progress)
    return FactorDataset("shapes3d", source, list(FACTORS), sizes, images, left_out=LEFT_OUT)


def _of_file(path: Path, progress: bool) -> tuple[np.ndarray, Sequence[int], str]:
    """Images uint8 `[n, 64, 64, 3]`, sizes of the factors, and source."""
    with array_file.hdf5(path) as file:
        count = file.require("images", "uint8", None, 64, 64, 3)
        file.require("labels", "floats", count, len(FACTORS))
        images = file.array("images")
        marks = [mark for mark in ("replica", "subset") if file.file.attrs.get(mark, False)]
        offset = images.id.get_offset()  # None: in chunks, which may be compressed

        def sizes() -> tuple[int, ...]:
            return grid_sizes(path, file.read("labels"), FACTORS, bool(marks))

        def pieces() -> Iterator[np.ndarray]:
            sizes()
            yield from _slabs(file)

        if offset is not None:
            array, found = mapped(path, images.shape, offset), sizes()
            read_ahead(path)
        else:
            key = {"file": stamp(path), "marks": marks}
            array = build("shapes3d", path, "raw", key, images.shape, pieces, progress=progress).images
            found = sizes() if marks else tuple(FACTORS.values())
        return array, found, "replica" if "replica" in marks else path.name


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
    replica="shapes3d",
)
