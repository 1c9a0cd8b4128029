"""Noisy dSprites: white sprites on a background of noise (Locatello et al. 2019).

As in disentanglement_lib, the noise is uniform from 0 to 1 in every pixel and channel, and the sprite is 1. It is drawn
from `--data-seed` and the index, see `datasets.drawn_sprites`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from datasets import dsprites
from datasets.about import About
from datasets.drawn_sprites import OPTIONS, load_drawn, random_bytes
from datasets.factor_dataset import FactorDataset

FILE, render, REPLICA_VERSION, REPLICA_OF = dsprites.FILE, dsprites.render, dsprites.REPLICA_VERSION, "dsprites"
ABOUT = About(
    title="Noisy dSprites: dSprites on noise (Locatello et al. 2019)",
    images="737,280",
    factors=dsprites.ABOUT.factors,
    source="dSprites, noise drawn when asked for",
    licence="Apache-2.0",
    tested="miniatures; the replica",
)

__all__ = ["ABOUT", "FILE", "OPTIONS", "REPLICA_OF", "REPLICA_VERSION", "load", "render"]


def load(path: Path, *, fixed_shape: int | None = None, data_seed: int = 0, progress: bool = True) -> FactorDataset:
    """dSprites on noise, from dSprites' file."""

    def paint(masks: np.ndarray, index: np.ndarray) -> np.ndarray:
        masks |= random_bytes(data_seed, index, masks[0].size).reshape(masks.shape)  # [n, 64, 192]
        return masks

    return load_drawn("noisy_dsprites", path, fixed_shape, progress, paint)
