"""The images that a run's pictures are made from: the same at every step, so that pictures can be compared."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from system.randomness import permutation

EXAMPLES = 10  # number of images to reconstruct; traversals start from the first
PAIRS = 12  # number of images whose factors are changed
SAMPLE = 256  # number of images for diagnostics of codes


class PictureInputs(NamedTuple):
    """Images `[n, channels, height, width]` in [0, 1].

    examples: EXAMPLES images.
    sample: SAMPLE images.
    pairs: factor name -> PAIRS images, and the same with this factor increased by an eighth of its values, at least 1.
    paths: factor name -> the first example with every value of this factor. Both are empty if the data set is not a
        grid of factors.
    """

    examples: torch.Tensor
    sample: torch.Tensor
    pairs: dict[str, tuple[torch.Tensor, torch.Tensor]]
    paths: dict[str, torch.Tensor]


def gather(dataset, seed: int, device: torch.device | str) -> PictureInputs:
    """Read images of a data set, chosen at random by the seed of the run.

    Args:
        dataset: has `factor_names`, `factor_sizes`, `is_grid`, `index_to_factors`, `factors_to_index` and
            `batch(index, device)`, and a length.
    """
    index = permutation(np.arange(len(dataset)), seed, "pictures")[:SAMPLE]  # [sample]
    factors = dataset.index_to_factors(index)  # [sample, K]
    pairs, paths = {}, {}
    for k, (name, size) in enumerate(zip(dataset.factor_names, dataset.factor_sizes, strict=True)):
        if size < 2 or not dataset.is_grid:
            continue
        before, step = factors[:PAIRS].copy(), max(1, size // 8)  # [pairs, K]
        before[:, k] %= size - step  # so that before + step is in range
        after = before.copy()
        after[:, k] += step
        pairs[name] = tuple(dataset.batch(dataset.factors_to_index(f), device) for f in (before, after))
        path = np.repeat(factors[:1], size, axis=0)  # [size, K]
        path[:, k] = np.arange(size)
        paths[name] = dataset.batch(dataset.factors_to_index(path), device)
    sample = dataset.batch(index, device)  # [sample, channels, height, width]
    return PictureInputs(sample[:EXAMPLES], sample, pairs, paths)
