"""Random variants of dSprites (Locatello et al. 2019), generated on access from the seed and the index of the image.

Colour dSprites shows each sprite in a random colour on black: as in disentanglement_lib, its three channels are uniform
from 0.5 to 1, here in 128 levels, and the colour is not a factor. Noisy dSprites shows white sprites on noise, uniform
from 0 to 1 in every pixel and channel. The third variant is in `datasets.scream_dsprites`.

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

from datasets import dsprites
from datasets.factor_dataset import FactorDataset

SEEDS = range(2**63)
OPTIONS = {**dsprites.SPEC.options, "data_seed": SEEDS}
ROW = 64 * 3  # bytes of a row of an RGB image
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
    return FactorDataset(name, base.source, base.factor_names, base.factor_sizes, images, (64, 64, 3))


def _coloured(seed: int, masks: np.ndarray, index: np.ndarray) -> np.ndarray:
    colours = random_bytes(seed, index, 3) | np.uint8(128)  # [n, 3]
    masks &= np.tile(colours, 64)[:, None]  # [n, 64, 192]
    return masks


def _noisy(seed: int, masks: np.ndarray, index: np.ndarray) -> np.ndarray:
    masks |= random_bytes(seed, index, masks[0].size).reshape(masks.shape)  # [n, 64, 192]
    return masks


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
