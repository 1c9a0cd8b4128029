"""dSprites: 737,280 binary 64x64 images of a shape on black (Matthey, Higgins, Hassabis, Lerchner, 2017).

The official `.npz` holds 3 GB, compressed. On first use it is stored in a file of 377 MB next to it, with eight pixels
per byte, which is then memory-mapped. Without it, the replica is drawn into the cache (render/dsprites.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from datasets import array_file
from datasets.factor_dataset import FactorDataset
from datasets.grid import grid_sizes
from datasets.render.dsprites import FACTORS, VERSION, packed_images
from datasets.spec import FETCH_AGAIN, DataFile, DatasetSpec
from datasets.store import build, replica
from system.errors import UserError

FILE = DataFile(
    name="dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz",
    url="https://github.com/deepmind/dsprites-dataset/raw/master/dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz",
    checksum="git-blob:d98996d3f8ee1550e06b9d4ed78d0beb478910d5",
)
LEFT_OUT = ("shape",)  # the reference leaves it out of MIG and factor leakage
_COLUMNS = {"color": 1, **FACTORS}  # the official file counts the one colour as a factor
_BYTES = 64 * 64 // 8  # of an image


def load(path: Path | None, *, fixed_shape: int | None = None, progress: bool = True) -> FactorDataset:
    """Load the data set from a file of the official layout, or the replica.

    Args:
        fixed_shape: keep only the images of this shape (0 square, 1 ellipse, 2 heart), without the factor `shape`.

    Raises: UserError if the file is not as expected.
    """
    names, source = list(FACTORS), "replica"
    sizes: Sequence[int] = tuple(FACTORS.values())
    if path is None:
        images = replica("dsprites", VERSION, (int(np.prod(sizes)), _BYTES), packed_images, progress)
    else:
        images, sizes, source = _of_file(path, progress)
    if fixed_shape is not None:
        if fixed_shape not in range(sizes[0]):
            raise UserError(f"--fixed_shape {fixed_shape}: {path} has shapes 0 to {sizes[0] - 1}")
        each = len(images) // sizes[0]
        images = images[fixed_shape * each : (fixed_shape + 1) * each]  # shape is the slowest factor: one block
        names, sizes = names[1:], sizes[1:]
    return FactorDataset("dsprites", source, names, sizes, images, pixel_max=1, left_out=LEFT_OUT, packed=True)


def _of_file(path: Path, progress: bool) -> tuple[np.ndarray, Sequence[int], str]:
    """Images uint8 `[n, 512]`, sizes of the factors, and source."""
    with array_file.npz(path) as file:
        marks = [name for name in ("replica", "subset") if name in file]
        # Checksums stored in the file identify its contents, independent of its date.
        key = {"marks": marks, **{name: file.stored(name).CRC for name in ("imgs", "latents_classes")}}
        count = file.require("imgs", "uint8", None, 64, 64)

        def sizes() -> tuple[int, ...]:
            file.require("latents_classes", "integers", count, len(_COLUMNS))
            file.require("latents_values", "floats", count, len(_COLUMNS))
            colours, *found = grid_sizes(path, file.read("latents_classes"), _COLUMNS, marked=bool(marks))
            if colours != 1:
                raise UserError(f"{path}: expected one colour, found {colours}")
            return tuple(found)

        def pieces() -> Iterator[np.ndarray]:
            sizes()
            for images in file.rows("imgs"):
                if images.max() > 1:
                    raise UserError(f"{path}: expected pixels 0 and 1, found {images.max()}: {FETCH_AGAIN}")
                yield np.packbits(images.reshape(len(images), -1), axis=1)

        images = build("dsprites", path, "packed", key, (count, _BYTES), pieces, progress=progress).images
        source = "replica" if "replica" in marks else path.name
        return images, sizes() if marks else tuple(FACTORS.values()), source


SPEC = DatasetSpec(
    title="dSprites: a white shape on black (Matthey et al. 2017)",
    factors=FACTORS,
    source="DeepMind, downloaded; a replica without --data-path",
    licence="Apache-2.0",
    tested="miniatures; the replica, all 737,280",
    load=load,
    files=(FILE,),
    options={"fixed_shape": range(FACTORS["shape"])},
    replica="dsprites",
)
