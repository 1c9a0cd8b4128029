"""Scores a model on a whole data set, and records the protocol and mean codes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from metrics.checks import deviations
from metrics.evaluation import check_settings, find_metrics, score_tables
from metrics.factor_vae import ACTIVE_DEVIATION
from metrics.protocol import Images, Preset, Tables, find_preset, steps_of
from metrics.table import check_dataset, encode, is_grid

KEPT_CODES = 10_000  # number of images whose mean codes are saved, for scores that compare runs


class ModelScores(NamedTuple):
    """Scores of a model.

    values: key -> score.
    protocol: how they were measured (plain data).
    matrices: catalogue name -> float `[latents, factors]`, see `metrics.evaluation.Scores`; nan for latents not in use.
    codes: float32 `codes` `[m, d]` of KEPT_CODES images, the same for every model, as `udr` requires; their int64
        `index` `[m]`, `names` if they have any, `data` (name and source of the data set), and if it has factors,
        `factors` `[m, k]`, `factor_names` `[k]` and `left_out`, names of those that `discrete_mig` leaves out.
    left_out: one line on metrics that do not apply to this data set; empty if all do.
    """

    values: dict[str, float]
    protocol: dict
    matrices: dict[str, np.ndarray]
    codes: dict[str, np.ndarray]
    left_out: str


def score_model(
    encoder: Callable,
    decoder: Callable | None,
    dataset,
    metrics: Sequence[str] | None = None,
    *,
    seed: int = 0,
    preset: str | Preset = "full",
    bootstrap: int = 0,
    batch_size: int = 256,
    device: str = "cpu",
    progress: bool = False,
    workers: int | None = None,
) -> ModelScores:
    """Compute every score that a `FactorDataset` allows, from the mean codes of its images.

    Args:
        encoder: float32 images `[n, C, H, W]` -> means `[n, d]`, in evaluation mode already, on this device.
        decoder: codes `[n, d]` -> images in [0, 1], for the errors in image space; None: without these.
        metrics, seed, preset, bootstrap, workers: as for `evaluate`.
        batch_size, device, progress: for encoding.

    Raises: InputError as `evaluate`; if the encoder's codes are not finite tables.
    """
    preset = find_preset(preset)
    check_settings(seed=seed, bootstrap=bootstrap, workers=workers, batch_size=batch_size)
    check_dataset(dataset)
    n, grid = len(dataset), is_grid(dataset)
    kept, sample = (fixed_sample(n, count) for count in (KEPT_CODES, preset.encoded_images))
    sizes = tuple(int(size) for size in dataset.factor_sizes) if grid else ()
    draws = [steps_of(sizes, preset, int(seed), replicate) for replicate in range(bootstrap + 1 if grid else 0)]
    stepped = [drawn.ravel() for one in draws for name, drawn in one.items() if name != "label"]
    index = np.unique(np.concatenate([kept, sample, *stepped]))  # [m]
    codes = encode(encoder, dataset, index, batch_size=batch_size, device=device, progress=progress)  # [m, d]

    def rows(images: np.ndarray) -> np.ndarray:
        return np.searchsorted(index, images)

    factors = dataset.index_to_factors(sample)  # [sample, k]
    check_dataset(dataset)
    left_out = tuple(list(dataset.factor_names).index(name) for name in dataset.left_out)
    t = Tables(codes[rows(sample)], factors.astype(np.float64), preset, int(seed), workers, left_out=left_out)
    images = None if decoder is None else Images(decoder, dataset, index, device)
    t = replace(t, sizes=sizes, step_codes=codes, step_rows=rows(np.arange(n)), images=images)
    scores = score_tables(t, metrics, int(bootstrap), progress)
    data = {
        "dataset": dataset.name,
        "data_source": dataset.source,
        "images": n,
        "encoded": len(sample),
        "left_out": list(dataset.left_out),
        "varying_factors": sum(size > 1 for size in dataset.factor_sizes),
    }
    missing = [name for name in find_metrics(metrics) if name not in scores.protocol["metrics"]]
    lack = "its factors are not a full grid" if len(dataset.factor_sizes) else "it has no factors"
    note = f"{dataset.name}: {lack}, so these are not scored: {', '.join(missing)}" if missing else ""
    found = {"codes": codes[rows(kept)].astype(np.float32), "index": kept}
    found["data"] = np.array(f"{dataset.name}, {dataset.source}")
    if getattr(dataset, "item_names", None) is not None:
        found["names"] = np.array(dataset.item_names)[kept]
    if factors.shape[1]:
        found |= {"factors": dataset.index_to_factors(kept), "factor_names": np.array(dataset.factor_names, dtype=str)}
        found["left_out"] = np.array(dataset.left_out, dtype=str)
    unused = deviations(t.codes) < ACTIVE_DEVIATION  # [d]
    matrices = {name: np.where(unused[:, None], np.nan, matrix) for name, matrix in scores.matrices.items()}
    return ModelScores(scores, {**scores.protocol, **data}, matrices, found, note)


def fixed_sample(images: int, count: int) -> np.ndarray:
    """Up to `count` of so many images, drawn at random, the same for every model: int64 `[m]`, ascending.

    Evenly spaced images of a grid would not do: their factors depend on one another.
    """
    if count >= images:
        return np.arange(images)
    return np.sort(np.random.default_rng(0).choice(images, count, replace=False))
