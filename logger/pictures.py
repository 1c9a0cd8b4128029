"""Pictures of what a model learned: functions from a model to uint8 arrays, and a PNG writer. Nothing here logs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

import atomic

TRAVERSAL_RANGE = (-4.0, 4.0)
TRAVERSAL_STEPS = 20
MARGIN = 2


@torch.no_grad()
def traversals(model, x: torch.Tensor) -> np.ndarray:
    """Walk every latent from -4 to 4 in 20 steps around the mean code of one image.

    Args:
        x: one image `[1, channels, height, width]` in [0, 1].
    Returns:
        uint8 `[latents, steps, height, width, channels]`.
    """
    mu, _ = model.encode(x)  # [1, latents]
    latents = mu.shape[1]
    values = torch.linspace(*TRAVERSAL_RANGE, TRAVERSAL_STEPS, device=mu.device)  # [steps]
    z = mu.repeat(latents * TRAVERSAL_STEPS, 1).view(latents, TRAVERSAL_STEPS, latents)  # [latents, steps, latents]
    for latent in range(latents):
        z[latent, :, latent] = values
    images = torch.sigmoid(model.decode(z.flatten(0, 1)))  # [latents * steps, channels, height, width]
    return to_uint8(images).reshape(latents, TRAVERSAL_STEPS, *to_uint8(x).shape[1:])


@torch.no_grad()
def reconstructions(model, x: torch.Tensor) -> np.ndarray:
    """The images, then a row for each way the model reconstructs them: uint8 `[rows, n, height, width, channels]`."""
    return np.stack([to_uint8(images) for images in [x, *model.reconstructions(x).values()]])


def to_uint8(images: torch.Tensor) -> np.ndarray:
    """`[n, channels, height, width]` in [0, 1] -> uint8 `[n, height, width, channels]`."""
    return (images.float() * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


def grid(images: np.ndarray) -> np.ndarray:
    """uint8 `[rows, columns, height, width, channels]` -> one picture `[Y, X, 3]`, grey lines between."""
    rows, columns, height, width, _ = images.shape
    picture = np.full((rows * (height + MARGIN) + MARGIN, columns * (width + MARGIN) + MARGIN, 3), 128, np.uint8)
    for row in range(rows):
        for column in range(columns):
            y, x = MARGIN + row * (height + MARGIN), MARGIN + column * (width + MARGIN)
            picture[y : y + height, x : x + width] = images[row, column]  # one channel spreads over three
    return picture


def save_png(picture: np.ndarray, path: Path) -> None:
    """uint8 `[Y, X, 3]` -> a PNG file, replaced atomically."""
    from PIL import Image

    with atomic.replacing(path) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG")
