"""Random variants of dSprites (Locatello et al. 2019), generated on access from the index of the image.

Colour dSprites shows each sprite in a random colour on black: as in disentanglement_lib, its three channels are uniform
from 0.5 to 1, here in 128 levels, and the colour is not a factor. Noisy dSprites shows white sprites on noise, uniform
from 0 to 1 in every pixel and channel. disentanglement_lib draws new colours and noise at every access; here an image
depends on its index only. Pixels have 256 levels; disentanglement_lib uses floats.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from datasets import dsprites
from datasets.factor_dataset import FactorDataset

Paint = Callable[[np.ndarray, np.ndarray], np.ndarray]


class DrawnImages:
    """RGB images, generated on access from packed sprites; indexed like an array.

    Args:
        packed: uint8 `[N, 512]`, eight pixels of a sprite per byte.
        paint: (sprites uint8 `[n, 64, 64, 1]`, 255 on the sprite, else 0; indices int64 `[n]`) -> `[n, 64, 64, 3]`.
    """

    def __init__(self, packed: np.ndarray, paint: Paint):
        self.packed, self.paint = packed, paint
        self.shape = (len(packed), 64, 64, 3)

    def __len__(self) -> int:
        return len(self.packed)

    def __getitem__(self, index: np.ndarray) -> np.ndarray:
        """int64 `[n]` -> uint8 `[n, 64, 64, 3]`."""
        index = np.asarray(index)
        sprites = np.unpackbits(self.packed[index], axis=1).reshape(-1, 64, 64, 1) * np.uint8(255)  # [n, 64, 64, 1]
        return self.paint(sprites, index)


def load(name: str, path: Path | None, *, fixed_shape: int | None = None, progress: bool = True) -> FactorDataset:
    """Load the variant `name` from the dSprites file at `path`, or from the replica."""
    base = dsprites.load(path, fixed_shape=fixed_shape, progress=progress)
    paint = _noisy if name == "noisy_dsprites" else _coloured(len(base))
    source = f"{base.source}, drawn by NumPy"  # tells them apart from the images of versions before December 2026
    return FactorDataset(name, source, base.factor_names, base.factor_sizes, DrawnImages(base.images, paint))


def _coloured(count: int) -> Paint:
    colours = np.random.default_rng(0).integers(128, 256, (count, 1, 1, 3), dtype=np.uint8)  # [N, 1, 1, 3]
    return lambda sprites, index: sprites & colours[index]


def _noisy(sprites: np.ndarray, index: np.ndarray) -> np.ndarray:
    noise = [np.random.default_rng((0, i)).integers(256, size=(64, 64, 3), dtype=np.uint8) for i in index.tolist()]
    return sprites | np.stack(noise)  # [n, 64, 64, 3]


COLOR = replace(
    dsprites.SPEC,
    title="Colour dSprites: dSprites in random colours (Locatello et al. 2019)",
    source="dSprites, coloured on access",
    tested="miniatures; the replica",
    load=partial(load, "color_dsprites"),
)
NOISY = replace(
    dsprites.SPEC,
    title="Noisy dSprites: dSprites on noise (Locatello et al. 2019)",
    source="dSprites, noise drawn on access",
    tested="miniatures; the replica",
    load=partial(load, "noisy_dsprites"),
)
