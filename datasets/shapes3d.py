"""3D Shapes: 480,000 RGB 64x64 images of an object in a room (Burgess and Kim, 2018).

The official `.h5` is compressed in chunks that span thousands of images, so that reading one image unpacks all of them.
On first use it is converted to an uncompressed file of 5.9 GB next to it, which is then memory-mapped. A file with
uncompressed, contiguous images is memory-mapped in place.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import numpy as np
from tqdm import tqdm

from datasets.conversion import convert_once, mapped, npy_header, read_ahead
from datasets.factor_dataset import FactorDataset
from datasets.grid import check_size, grid_sizes
from datasets.packing import stamp
from datasets.spec import FETCH_AGAIN, DataFile, DatasetSpec, Replica
from system.errors import UserError
from system.files import damage_as_user_error

FILE = DataFile(
    name="3dshapes.h5",
    url="https://storage.googleapis.com/3d-shapes/3dshapes.h5",
    magic=b"\x89HDF\r\n\x1a\n",
    checksum="md5:099a2078d58cec4daad0702c55d06868",
)
FACTORS = {"floor_hue": 10, "wall_hue": 10, "object_hue": 10, "scale": 8, "shape": 4, "orientation": 15}
LEFT_OUT = ("floor_hue",)  # the reference leaves it out of MIG and factor leakage
_BYTES = 64 * 64 * 3
SLAB = 2**27 // _BYTES  # minimum number of images read at a time: 134 MB
_LARGEST_SLAB = 2**29 // _BYTES


def load(path: Path, *, progress: bool = True) -> FactorDataset:
    """Load the data set from a file of the official layout. Raises UserError if the file is not as expected."""
    import h5py

    with ExitStack() as stack:
        with damage_as_user_error(path, "HDF5 file", FETCH_AGAIN):
            file = stack.enter_context(h5py.File(path, "r"))
            images, labels = _checked(path, file)
            replica, subset = (bool(file.attrs.get(mark, False)) for mark in ("replica", "subset"))
            offset = images.id.get_offset() if images.chunks is None and images.compression is None else None
        if offset is not None:
            sizes = _sizes(path, labels, replica or subset)
            array = mapped(path, images.shape, offset)
            read_ahead(path)
        else:
            array, note = convert_once(
                path,
                "shapes3d",
                ".raw.npy",
                {"file": stamp(path)},
                images.size,
                lambda handle: _convert(path, images, labels, replica or subset, handle, progress),
            )
            sizes = note["factor_sizes"]
    source = "replica" if replica else path.name
    return FactorDataset("shapes3d", source, list(FACTORS), sizes, array, (64, 64, 3), left_out=LEFT_OUT)


def _checked(path: Path, file):
    """The HDF5 data sets `images` and `labels`. Raises UserError if shapes or dtypes are not the official ones."""
    for name in ("images", "labels"):
        if name not in file or not hasattr(file[name], "dtype"):
            raise UserError(
                f"{path}: expected arrays images and labels, found {', '.join(file) or 'nothing'}: {FETCH_AGAIN}"
            )
    images, labels = file["images"], file["labels"]
    if images.dtype != np.uint8 or images.shape[1:] != (64, 64, 3):
        raise UserError(
            f"{path}: expected images uint8 [n, 64, 64, 3], found {images.dtype} {list(images.shape)}: {FETCH_AGAIN}"
        )
    if labels.dtype.kind != "f" or labels.shape != (len(images), len(FACTORS)):
        expected, found = f"floats [{len(images)}, {len(FACTORS)}]", f"{labels.dtype} {list(labels.shape)}"
        raise UserError(f"{path}: expected labels {expected}, found {found}: {FETCH_AGAIN}")
    return images, labels


def _sizes(path: Path, labels, marked: bool) -> list[int]:
    with damage_as_user_error(path, "HDF5 file", FETCH_AGAIN):
        values = labels[()]  # [n, 6]
    sizes = grid_sizes(path, values, list(FACTORS))
    check_size(path, sizes, tuple(FACTORS.values()), list(FACTORS), marked)
    return list(sizes)


def _convert(path: Path, images, labels, marked: bool, handle: BinaryIO, progress: bool) -> dict:
    """Write the images to an uncompressed `.npy` file, unpacking every chunk once. Returns the sizes of the factors."""
    sizes = _sizes(path, labels, marked)
    handle.write(npy_header(images.shape))
    chunk = images.chunks or images.shape
    slab = min(chunk[0] * max(1, SLAB // chunk[0]), _LARGEST_SLAB)  # whole chunks, unless they are too large
    rows = np.empty((min(slab, len(images)), *images.shape[1:]), np.uint8)  # [slab, 64, 64, 3]
    bar = tqdm(
        total=len(images), desc="unpacking 3D Shapes once", unit=" images", unit_scale=True, disable=not progress
    )
    with bar:
        for start in range(0, len(images), slab):
            rows = rows[: len(images) - start]
            # Read one row of chunks at a time: HDF5 takes four times longer to read all rows at once.
            for top in range(0, images.shape[1], chunk[1]):
                for channel in range(0, images.shape[3], chunk[3]):
                    part = np.s_[top : top + chunk[1], :, channel : channel + chunk[3]]
                    with damage_as_user_error(path, "HDF5 file", FETCH_AGAIN):
                        rows[:, *part] = images[start : start + len(rows), *part]
            handle.write(rows.data)
            bar.update(len(rows))
    return {"factor_sizes": sizes}


SPEC = DatasetSpec(
    title="3D Shapes: an object in a room (Burgess, Kim 2018)",
    images="480,000",
    factors=FACTORS,
    source="DeepMind, downloaded; a replica without --data-path",
    licence="Apache-2.0",
    tested="miniatures; the replica, all 480,000",
    load=load,
    files=(FILE,),
    replica=Replica("shapes3d", "datasets.render.shapes3d:render_file", version=1),
)
