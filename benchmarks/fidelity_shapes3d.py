"""How close the replica of 3D Shapes is to real images, and a picture of both side by side.

Called by `python -m benchmarks.fidelity shapes3d FILE`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tqdm import tqdm

from datasets.render.shapes3d import COLOUR_LEVELS, FACTOR_VALUES, draw, layers_of, to_grey

_HUES = 10
_BATCH = 32


def best_shapes3d(
    images: np.ndarray, progress: bool = True, geometries: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """For every image the drawn one, of all 480,000, with the smallest mean absolute error over pixels and channels.

    A pixel that shows one material costs the same whatever the hues of the others are, so those pixels alone give a
    lower bound for every drawn image from sums of 30 terms. Images are compared in the order of their bounds until the
    next bound is above the best error found: the result is exact.

    Args:
        images: uint8 `[n, 64, 64, 3]`.
        geometries: classes of scale, shape and orientation `[m, 3]` to search among, in place of all 480.

    Returns: float64 `[n]`, the errors in grey values of 255, and int64 `[n, 6]`, the factors of the nearest images.
    """
    if geometries is None:
        geometries = np.stack(np.unravel_index(np.arange(480), (8, 4, 15)), axis=-1)  # [480, 3]
    bounds = np.empty((len(images), len(geometries), _HUES, _HUES, _HUES), np.float32)
    for g, geometry in enumerate(tqdm(geometries, desc="bounding", unit=" scenes", disable=not progress)):
        bounds[:, g] = _bounds(images, *layers_of(*geometry.tolist()))
    errors, factors = np.empty(len(images)), np.empty((len(images), 6), np.int64)
    for i, image in enumerate(tqdm(images, desc="comparing", unit=" images", disable=not progress)):
        errors[i], factors[i] = _nearest(image, bounds[i].ravel(), geometries)
    return errors, factors


def _bounds(images: np.ndarray, sky: np.ndarray, layers: np.ndarray) -> np.ndarray:
    """Lower bounds of the errors of all hues in one geometry: `[n, floor hues, wall hues, object hues]`."""
    shown = np.stack([sky.any(0), *(material.any(0) for material in layers)])  # [sky and materials, 64, 64]
    alone = shown & (shown.sum(0) == 1)  # [sky and materials, 64, 64]
    channels = images.transpose(0, 3, 1, 2).astype(np.int16)  # [n, 3, 64, 64]
    total = np.abs(channels[..., alone[0]] - to_grey(sky[:, alone[0]]).astype(np.int16)).sum((1, 2), dtype=float)  # [n]
    for material, mask in enumerate(alone[1:]):
        grey = to_grey(layers[material][:, mask]).astype(np.int16)  # [levels, pixels]
        off = np.abs(channels[..., None, mask] - grey).sum(-1, dtype=float)  # [n, 3, levels]
        by_hue = sum(off[:, channel, COLOUR_LEVELS[:, channel]] for channel in range(3))  # [n, hues]
        total = total[..., None] + by_hue.reshape(len(images), *[1] * material, _HUES)
    return total / channels[0].size


def _nearest(image: np.ndarray, bounds: np.ndarray, geometries: np.ndarray) -> tuple[float, np.ndarray]:
    """The smallest error and its factors; `bounds` `[m * 1000]` runs over geometry, then the three hues."""
    order = np.argsort(bounds, kind="stable")  # [m * 1000]
    best, factors = np.inf, None
    for start in range(0, len(order), _BATCH):
        chosen = order[start : start + _BATCH]
        if bounds[chosen[0]] >= best:
            break
        geometry, *hues = np.unravel_index(chosen, (len(geometries), _HUES, _HUES, _HUES))
        candidates = np.concatenate([np.stack(hues, axis=-1), geometries[geometry]], axis=-1)  # [batch, 6]
        errors = np.abs(draw(candidates).astype(np.int16) - image).mean((1, 2, 3))  # [batch]
        if errors.min() < best:
            best, factors = float(errors.min()), candidates[errors.argmin()]
    return best, factors


def side_by_side(images: np.ndarray, drawn: np.ndarray, path: str | Path, columns: int = 4, zoom: int = 3) -> None:
    """Saves a PNG: real image, nearest drawn one, and their difference about middle grey, `columns` times in a row."""
    from PIL import Image

    difference = np.clip(128 + (drawn.astype(np.int16) - images) // 2, 0, 255).astype(np.uint8)
    tiles = np.concatenate([images, drawn, difference], axis=2)  # [n, 64, 192, 3]
    tiles = np.pad(tiles, ((0, -len(tiles) % columns), (2, 2), (2, 2), (0, 0)), constant_values=255)
    n, height, width, _ = tiles.shape
    sheet = tiles.reshape(n // columns, columns, height, width, 3).swapaxes(1, 2)  # [rows, height, columns, width, 3]
    sheet = Image.fromarray(sheet.reshape(n // columns * height, columns * width, 3))
    sheet.resize((sheet.width * zoom, sheet.height * zoom), Image.Resampling.NEAREST).save(path, format="PNG")


def describe(factors: np.ndarray) -> str:
    """The factor values of classes `[6]`, for a line of the report."""
    pairs = zip(FACTOR_VALUES.items(), factors, strict=True)
    return "  ".join(f"{name} {values[index]:.3g}" for (name, values), index in pairs)
