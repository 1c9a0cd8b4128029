"""Errors in image space, if a decoder and a data set are given."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from metrics.metric import INFORMATION, Metric, lower_is_better

BATCH = 256


def squared_error(decoder: Callable, dataset, codes: np.ndarray, index: np.ndarray, device: str = "cpu") -> np.ndarray:
    """Squared errors of decoded codes `[n, d]` against the images `index` `[n]`, summed over pixels: `[n]`.

    decoder: float32 codes `[n, d]` -> images `[n, C, H, W]` in [0, 1] (torch).
    """
    import torch

    errors = []
    with torch.inference_mode():
        for start in range(0, len(index), BATCH):
            z = torch.as_tensor(codes[start : start + BATCH], dtype=torch.float32, device=device)  # [batch, d]
            x = dataset.batch(index[start : start + BATCH], device)  # [batch, C, H, W]
            errors.append((decoder(z) - x).square().flatten(1).sum(1).cpu().double().numpy())  # [batch]
    return np.concatenate(errors)


def score(decoder: Callable, dataset, codes, drawn: dict, device: str = "cpu") -> dict[str, float]:
    """How far are images from their reconstructions?

    1. 1,000 random images; each is encoded to its mean and decoded.
    2. Squared error summed over pixels; mean over images. This is the `l2` reconstruction term of the reference.

    At least 0; ideal 0; a collapsed code scores the variance of the images around the one image it decodes to. Not a
    measure of disentanglement, but good scores may come at the cost of bad images: read them together.
    """
    errors = squared_error(decoder, dataset, codes(drawn["points"]), drawn["points"], device)
    return {"reconstruction_error": float(errors.mean())}


METRIC = Metric(
    "reconstruction",
    "reconstruction error: squared, summed over pixels",
    INFORMATION,
    (
        lower_is_better(
            "reconstruction_error",
            "reconstruction error",
            "squared error of an image, summed over its pixels; not a measure of disentanglement",
            on_screen=True,
        ),
    ),
    lambda request: score(request.decoder, request.source.dataset, request.codes, request.drawn, request.device),
    lambda source, preset, rng: {"points": source.random(rng, (preset.image_points,))},
    needs=("decoder",),
)
