"""Pairs of samples one symmetry step apart: one factor changed by one value, cyclically, the others equal."""

from __future__ import annotations

import numpy as np


def draw(source, points: int, rng: np.random.Generator) -> dict:
    """Draw `points` random pairs for training and as many for testing.

    Returns: for each split (`train`, `test`), `<split>_before`, `<split>_after` and `<split>_label`, `[points]` each.
        label = 2 * (position of the changed factor among the varying ones) + (1 forwards, 0 backwards).
    """
    drawn = {}
    for split in ("train", "test"):
        label = rng.integers(2 * max(len(source.varying), 1), size=points)  # [points]
        before = source.random(rng, (points,))
        drawn[f"{split}_label"], drawn[f"{split}_before"], drawn[f"{split}_after"] = label, before, before
        if len(source.varying):
            drawn[f"{split}_after"] = source.step(before, source.varying[label // 2], 2 * (label % 2) - 1)
    return drawn


def draw_forward(source, points: int, rng: np.random.Generator) -> dict:
    """Draw `points` pairs one step forwards per varying factor: `<split>_before`, `<split>_after` `[k, points]`."""
    drawn = {}
    for split in ("train", "test"):
        before = source.random(rng, (len(source.varying), points))
        factor = np.broadcast_to(source.varying[:, None], before.shape)
        drawn[f"{split}_before"], drawn[f"{split}_after"] = before, source.step(before, factor, np.ones_like(before))
    return drawn
