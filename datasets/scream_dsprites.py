"""Scream dSprites: sprites that invert a random patch of Munch's painting (Locatello et al. 2019).

As in disentanglement_lib: the painting is reduced to fit 350x274 (BICUBIC; versions of Pillow may differ by a level or
two); an image is a patch of it, averaged with a random colour, with inverted pixels on the sprite. Patch and colour
depend on `--data-seed` and the index, see `datasets.drawn_sprites`. No checksum of the painting's file is known.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from datasets import dsprites
from datasets.drawn_sprites import OPTIONS, ROW, load_drawn, random_bytes, random_words
from datasets.factor_dataset import FactorDataset
from datasets.locate import path_of
from datasets.spec import DataFile
from system.errors import UserError

PAINTING = DataFile(
    name="scream.jpg",
    url="https://upload.wikimedia.org/wikipedia/commons/f/f4/The_Scream.jpg",
    magic=b"\xff\xd8\xff",
)
FILES = (dsprites.FILE, PAINTING)
_FITS = (350, 274)  # largest width and height of the reduced painting


def load(
    directory: Path, *, fixed_shape: int | None = None, data_seed: int = 0, progress: bool = True
) -> FactorDataset:
    """Load the data set from the two files in the directory. Raises UserError if one is not as expected."""
    sprites, picture = (path_of(directory, file) for file in FILES)
    painting = _painting(picture)  # [height, width, 3]
    height, width = painting.shape[:2]
    flat = painting.reshape(height, width * 3)
    # View of all patches, without a copy: [height - 64, width - 64, 64, 192].
    shape, strides = (height - 64, width - 64, 64, ROW), (flat.strides[0], 3, flat.strides[0], 1)
    patches = np.lib.stride_tricks.as_strided(flat, shape, strides, writeable=False)

    def paint(seed: int, masks: np.ndarray, index: np.ndarray) -> np.ndarray:
        words = random_words(seed, index, 2)  # [n, 2]
        row, column = (words >> np.uint64(11)).T % np.array([[height - 64], [width - 64]], np.uint64)  # [n] each
        patch = patches[row.astype(np.int64), column.astype(np.int64)]  # [n, 64, 192]
        shift = np.tile(random_bytes(seed ^ 1 << 62, index, 3), 64)[:, None]  # [n, 1, 192]
        both = patch & shift
        patch ^= shift
        patch >>= np.uint8(1)
        patch += both  # (patch + shift) // 2 without overflow: (a & b) + ((a ^ b) >> 1)
        patch ^= masks  # v -> 255 - v on the sprite
        return patch

    return load_drawn(
        "scream_dsprites", paint, sprites, fixed_shape=fixed_shape, data_seed=data_seed, progress=progress
    )


def _painting(path: Path) -> np.ndarray:
    """The reduced painting: uint8 `[height, width, 3]`."""
    try:
        with Image.open(path) as image:
            image.thumbnail(_FITS, Image.Resampling.BICUBIC)
            painting = np.array(image.convert("RGB"))
    except Exception as error:  # decoders raise many types on broken files
        raise UserError(
            f"{path} cannot be read as a picture ({error}): name another folder, or fetch it again"
        ) from None
    if min(painting.shape[:2]) <= 64:
        raise UserError(f"{path}: reduced to fit 350x274 it is {painting.shape[:2]}, too small for patches of 64x64")
    return painting


SPEC = replace(
    dsprites.SPEC,
    title="Scream dSprites: dSprites on patches of a painting (Locatello et al. 2019)",
    source="dSprites and the painting, both downloaded; patches drawn on access",
    licence="Apache-2.0; the painting is in the public domain",
    tested="miniatures, with another picture instead of the painting",
    load=load,
    files=FILES,
    options=OPTIONS,
    replica=None,
)
