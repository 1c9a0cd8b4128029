"""Random variants of dSprites (Locatello et al. 2019), generated on access from the seed and the index of the image.

Colour dSprites shows each sprite in a random colour on black: as in disentanglement_lib, its three channels are uniform
from 0.5 to 1, here in 128 levels, and the colour is not a factor. Noisy dSprites shows white sprites on noise, uniform
from 0 to 1 in every pixel and channel. Scream dSprites reduces Munch's painting to fit 350x274 (BICUBIC; versions of
Pillow may differ by a level or two); an image is a random patch of it, averaged with a random colour, with inverted
pixels on the sprite. No checksum of the painting's file is known.

disentanglement_lib draws new colours, noise and patches at every access; here an image depends only on the seed and its
index. Random bytes come from SplitMix64 (Steele, Lea, Flood 2014): word j of image i is the hash of `key(seed, i) + j`.
Pixels have 256 levels; disentanglement_lib uses floats.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from datasets import dsprites
from datasets.factor_dataset import FactorDataset
from datasets.spec import DataFile
from system.errors import UserError

PAINTING = DataFile(
    name="scream.jpg",
    url="https://upload.wikimedia.org/wikipedia/commons/f/f4/The_Scream.jpg",
    magic=b"\xff\xd8\xff",
)
SEEDS = range(2**63)
OPTIONS = {**dsprites.SPEC.options, "data_seed": SEEDS}
ROW = 64 * 3  # bytes of a row of an RGB image
_FITS = (350, 274)  # largest width and height of the reduced painting
_PIECE = 32  # images generated at a time: they fit into the CPU cache
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
# Byte of a packed sprite -> its eight pixels with three channels each: 255 on the sprite, else 0.
_MASKS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).repeat(3, axis=1) * np.uint8(255)  # [256, 24]

# (seed, masks uint8 [n, 64, 192], 255 on the sprite; indices int64 [n]) -> uint8 [n, 64, 192]
Paint = Callable[[int, np.ndarray, np.ndarray], np.ndarray]


def random_words(seed: int, index: np.ndarray, count: int) -> np.ndarray:
    """uint64 `[n, count]`, uniform; row i depends only on the seed and `index[i]`."""
    state = np.asarray(index, np.uint64) * _GOLDEN + np.uint64(seed)  # [n]
    state = _splitmix64(_splitmix64(state) ^ np.uint64(seed))  # [n], unrelated for neighbouring indices
    words = state[:, None] + np.arange(1, count + 1, dtype=np.uint64) * _GOLDEN  # [n, count]
    return _splitmix64(words)


def random_bytes(seed: int, index: np.ndarray, count: int) -> np.ndarray:
    """uint8 `[n, count]`, uniform; row i depends only on the seed and `index[i]`."""
    words = random_words(seed, index, -(-count // 8))  # [n, count / 8]
    return words.astype("<u8", copy=False).view(np.uint8)[:, :count]


def _splitmix64(words: np.ndarray) -> np.ndarray:
    """SplitMix64's hash, in place."""
    shifted = words >> np.uint64(30)
    words ^= shifted
    words *= np.uint64(0xBF58476D1CE4E5B9)
    np.right_shift(words, np.uint64(27), out=shifted)
    words ^= shifted
    words *= np.uint64(0x94D049BB133111EB)
    np.right_shift(words, np.uint64(31), out=shifted)
    words ^= shifted
    return words


class DrawnImages:
    """RGB images, generated on access from packed sprites; indexed like an array.

    Args:
        packed: uint8 `[N, 512]`, eight pixels of a sprite per byte.
        paint: generates images, see `Paint`.
        seed: the seed given to `paint`.
    """

    def __init__(self, packed: np.ndarray, paint: Paint, seed: int):
        self.packed, self.paint, self.seed = packed, paint, seed

    def __len__(self) -> int:
        return len(self.packed)

    @property
    def shape(self) -> tuple[int, ...]:
        """As of an array."""
        return (len(self), 64, 64, 3)

    def __getitem__(self, index: np.ndarray) -> np.ndarray:
        """int64 `[n]` -> uint8 `[n, 64, 64, 3]`."""
        index = np.asarray(index)
        images = np.empty((len(index), 64, ROW), np.uint8)  # [n, 64, 192]
        for start in range(0, len(index), _PIECE):
            piece = index[start : start + _PIECE]
            masks = np.take(_MASKS, self.packed[piece], axis=0).reshape(len(piece), 64, ROW)  # [piece, 64, 192]
            images[start : start + len(piece)] = self.paint(self.seed, masks, piece)
        return images.reshape(-1, 64, 64, 3)


def load_drawn(
    name: str, paint: Paint, path: Path, *, fixed_shape: int | None = None, data_seed: int = 0, progress: bool = True
) -> FactorDataset:
    """Load the variant `name` from the dSprites file at `path`."""
    base = dsprites.load(path, fixed_shape=fixed_shape, progress=progress)
    images = DrawnImages(base.images, paint, data_seed)
    return FactorDataset(name, base.source, base.factor_names, base.factor_sizes, images)


def _coloured(seed: int, masks: np.ndarray, index: np.ndarray) -> np.ndarray:
    colours = random_bytes(seed, index, 3) | np.uint8(128)  # [n, 3]
    masks &= np.tile(colours, 64)[:, None]  # [n, 64, 192]
    return masks


def _noisy(seed: int, masks: np.ndarray, index: np.ndarray) -> np.ndarray:
    masks |= random_bytes(seed, index, masks[0].size).reshape(masks.shape)  # [n, 64, 192]
    return masks


def load_scream(sprites: Path, picture: Path, **options) -> FactorDataset:
    """Load Scream dSprites from the dSprites file and that of the painting. Raises UserError as `_painting`."""
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

    return load_drawn("scream_dsprites", paint, sprites, **options)


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


COLOR = replace(
    dsprites.SPEC,
    title="Colour dSprites: dSprites in random colours (Locatello et al. 2019)",
    source="dSprites, coloured on access",
    tested="miniatures; the replica",
    load=partial(load_drawn, "color_dsprites", _coloured),
    options=OPTIONS,
)
NOISY = replace(
    dsprites.SPEC,
    title="Noisy dSprites: dSprites on noise (Locatello et al. 2019)",
    source="dSprites, noise drawn on access",
    tested="miniatures; the replica",
    load=partial(load_drawn, "noisy_dsprites", _noisy),
    options=OPTIONS,
)
SCREAM = replace(
    dsprites.SPEC,
    title="Scream dSprites: dSprites on patches of a painting (Locatello et al. 2019)",
    source="dSprites and the painting, both downloaded; patches drawn on access",
    licence="Apache-2.0; the painting is in the public domain",
    tested="miniatures, with another picture instead of the painting",
    load=load_scream,
    files=(dsprites.FILE, PAINTING),
    options=OPTIONS,
    replica=None,
)
