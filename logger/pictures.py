"""The images that pictures are drawn from, and those decoded by a model: traversals, compositions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from system.randomness import permutation

EXAMPLES = 10  # number of images to reconstruct; traversals start from the first
PAIRS = 12  # number of images whose factors are changed
SAMPLE = 256  # number of images for diagnostics of codes
TRAVERSAL_RANGE = (-4.0, 4.0)
TRAVERSAL_STEPS = 17  # one every 0.5, including the integers
COMPOSITION_STEPS = 9


class PictureInputs(NamedTuple):
    """Images `[n, channels, height, width]` in [0, 1].

    examples: EXAMPLES images.
    sample: SAMPLE images; factors: factor name -> its levels int64 `[SAMPLE]`, of factors that vary.
    pairs: factor name -> PAIRS images, and the same with this factor increased by an eighth of its values, at least 1.
    paths: factor name -> the first example with every value of this factor. Both are empty if the data set is not a
        grid of factors.
    """

    examples: torch.Tensor
    sample: torch.Tensor
    pairs: dict[str, tuple[torch.Tensor, torch.Tensor]]
    paths: dict[str, torch.Tensor]
    factors: dict[str, np.ndarray]


def gather(dataset, device: torch.device | str) -> PictureInputs:
    """Read images of a data set, chosen at random: the same ones for every run, so that pictures compare.

    Args:
        dataset: has `factor_names`, `factor_sizes`, `is_grid`, `index_to_factors`, `factors_to_index` and
            `batch(index, device)`, and a length.
    """
    index = permutation(np.arange(len(dataset)), 0, "pictures")[:SAMPLE]  # [sample]
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
    levels = {name: column for name, column in zip(dataset.factor_names, factors.T, strict=True) if np.ptp(column)}
    return PictureInputs(sample[:EXAMPLES], sample, pairs, paths, levels)


def steps(count: int, device: torch.device | None = None) -> torch.Tensor:
    """Evenly spaced values of a latent over the traversal range: `[count]`."""
    return torch.linspace(*TRAVERSAL_RANGE, count, device=device)


def traversals(model, z: torch.Tensor) -> np.ndarray:
    """Vary every latent in turn from -4 to 4, keeping the others as in one code.

    Args:
        z: one code `[1, latents]`: the mean code of an image, or zero, the mean of the prior.
    Returns:
        uint8 `[latents, TRAVERSAL_STEPS, height, width, channels]`.
    """
    images = to_uint8(model.image(traversal_codes(z, TRAVERSAL_STEPS)))  # [latents * steps, h, w, c]
    return images.reshape(z.shape[1], TRAVERSAL_STEPS, *images.shape[1:])


def traversal_codes(z: torch.Tensor, count: int) -> torch.Tensor:
    """The codes that `traversals` decodes: z `[1, latents]` -> `[latents * count, latents]`."""
    latents = range(z.shape[1])
    codes = z.repeat(len(latents), count, 1)  # [latents, count, latents]
    codes[latents, :, latents] = steps(count, z.device)
    return codes.flatten(0, 1)


@torch.no_grad()
def compositions(model, z: torch.Tensor, i: int, j: int) -> tuple[np.ndarray, np.ndarray]:
    """Compose the actions of two latents on one code, on a grid of values, in both orders.

    Args:
        z: one code `[1, latents]`.
        i, j: the latents; the rows vary i, the columns j.
    Returns:
        uint8 `[9, 9, height, width, channels]` each: j acting after i; the absolute difference to i acting after j.
    """
    values = steps(COMPOSITION_STEPS, z.device)  # [9]
    s, t = (grid.flatten() for grid in torch.meshgrid(values, values, indexing="ij"))  # [81] each
    codes = z.expand(len(s), -1)  # [81, latents]
    along_i, along_j = torch.zeros_like(codes), torch.zeros_like(codes)  # [81, latents] each
    along_i[:, i], along_j[:, j] = s, t
    first = torch.sigmoid(model.act(codes, [along_i, along_j]))  # [81, channels, height, width]
    second = torch.sigmoid(model.act(codes, [along_j, along_i]))
    shape = (COMPOSITION_STEPS, COMPOSITION_STEPS)
    images, difference = to_uint8(first), to_uint8((first - second).abs())
    return images.reshape(*shape, *images.shape[1:]), difference.reshape(*shape, *images.shape[1:])


def to_uint8(images: torch.Tensor) -> np.ndarray:
    """`[n, channels, height, width]` in [0, 1] -> uint8 `[n, height, width, channels]`."""
    return (images.float() * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
