"""Colour dSprites: each sprite in a colour of its own on black (Locatello et al. 2019).

As in disentanglement_lib, the three channels of an image's colour are uniform from 0.5 to 1, here in 128 levels; the
colour is no factor. It is drawn from `--data-seed` and the index, see `datasets.drawn_sprites`.
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
    title="Colour dSprites: dSprites in random colours (Locatello et al. 2019)",
    images="737,280",
    factors=dsprites.ABOUT.factors,
    source="dSprites, coloured when asked for",
    licence="Apache-2.0",
    tested="miniatures; the replica",
)

__all__ = ["ABOUT", "FILE", "OPTIONS", "REPLICA_OF", "REPLICA_VERSION", "load", "render"]


def load(path: Path, *, fixed_shape: int | None = None, data_seed: int = 0, progress: bool = True) -> FactorDataset:
    """dSprites in colour, from dSprites' file."""

    def paint(masks: np.ndarray, index: np.ndarray) -> np.ndarray:
        colours = random_bytes(data_seed, index, 3) | np.uint8(128)  # [n, 3]
        masks &= np.tile(colours, 64)[:, None]  # [n, 64, 192]
        return masks

    return load_drawn("color_dsprites", path, fixed_shape, progress, paint)
