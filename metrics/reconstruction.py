"""Errors in image space, if a decoder and a data set are given."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

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


def reconstruction(decoder: Callable, dataset, codes: np.ndarray, index: np.ndarray, device: str = "cpu") -> dict:
    """How far are images from their reconstructions?

    1. 1,000 random images; each is encoded to its mean and decoded.
    2. Squared error summed over pixels; mean over images. This is the `l2` reconstruction term of the reference.

    At least 0; ideal 0; a collapsed code scores the variance of the images around the one image it decodes to. Not a
    measure of disentanglement, but good scores may come at the cost of bad images: read them together.

    codes: `[n, d]` of the images `index` `[n]`. Returns `reconstruction_error`.
    """
    return {"reconstruction_error": float(squared_error(decoder, dataset, codes, index, device).mean())}
