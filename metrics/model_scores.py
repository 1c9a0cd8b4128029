"""Scores a model on a whole data set, and records the protocol and mean codes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from metrics.discrete import discretise, mutual_information
from metrics.encoding import encode
from metrics.evaluation import evaluate, find_metrics
from metrics.factor import ACTIVE_DEVIATION
from metrics.inputs import deviations
from metrics.sampling import source_of

KEPT_CODES = 10_000  # number of images whose mean codes are saved, for scores that compare runs


class ModelScores(NamedTuple):
    """Scores of a model.

    values: name -> score.
    protocol: how they were measured (plain data).
    matrices: catalogue name -> float `[latents, factors]`, to draw; see `_shown`.
    codes: `mean_codes` of KEPT_CODES images, and name and source of the `data`.
    left_out: one line on metrics that do not apply to this data set; empty if all do.
    """

    values: dict[str, float]
    protocol: dict
    matrices: dict[str, np.ndarray]
    codes: dict[str, np.ndarray]
    left_out: str


def score_model(
    encoder: Callable,
    decoder: Callable,
    dataset,
    *,
    batch_size: int = 256,
    device: str = "cpu",
    progress: bool = False,
    **settings,
) -> ModelScores:
    """Compute every score that a `FactorDataset` allows. Arguments and errors as for `evaluate`."""
    scores = evaluate(
        encoder, dataset, decoder=decoder, batch_size=batch_size, device=device, progress=progress, **settings
    )
    data = {
        "dataset": dataset.name,
        "data_source": dataset.source,
        "images": len(dataset),
        "left_out": list(dataset.left_out),
        "varying_factors": sum(size > 1 for size in dataset.factor_sizes),
    }
    left_out = [name for name in find_metrics(None) if name not in scores.protocol["metrics"]]
    lack = "its factors are not a full grid" if len(dataset.factor_sizes) else "it has no factors"
    note = f"{dataset.name}: {lack}, so these are not scored: {', '.join(left_out)}" if left_out else ""
    codes = mean_codes(encoder, dataset, KEPT_CODES, batch_size=batch_size, device=device, progress=progress)
    codes["data"] = np.array(f"{dataset.name}, {dataset.source}")
    return ModelScores(scores, {**scores.protocol, **data}, _shown(scores.matrices, codes), codes, note)


def _shown(matrices: dict[str, np.ndarray], codes: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The matrices `[latents, factors]` to draw: nan where a latent is not in use, as the FactorVAE score counts.

    Mutual information is that of all kept codes, less that of shuffled factors: a few hundred points have half a nat
    with a factor of 40 levels by chance.
    """
    unused = deviations(codes["codes"]) < ACTIVE_DEVIATION  # [latents]
    shown = dict(matrices)
    if "mutual_information" in shown:
        shown["mutual_information"] = information(codes["codes"], codes["factors"])
    return {name: np.where(unused[:, None], np.nan, values) for name, values in shown.items()}


def information(codes: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Mutual information in nats of latents `[n, d]` in 20 bins and factors `[n, k]`, less that of shuffled factors.

    Returns: float `[d, k]`, at least 0. The chance level is the mean over five shuffles.
    """
    rng, binned = np.random.default_rng(0), discretise(codes)
    chance = [mutual_information(binned, rng.permutation(factors)) for _ in range(5)]
    return np.maximum(mutual_information(binned, factors) - np.mean(chance, axis=0), 0)


def mean_codes(
    encoder: Callable, dataset, limit: int, *, batch_size: int = 256, device: str = "cpu", progress: bool = False
) -> dict[str, np.ndarray]:
    """Encode up to `limit` images, drawn at random: the same for every model, as `udr` requires.

    Evenly spaced images of a grid would not do: their factors depend on one another.

    Args:
        encoder, batch_size, device, progress: as for `evaluate`.

    Returns: `codes` float32 `[m, d]`, `index` int64 `[m]`; `names` `[m]` of the images if they have any; and if the
            data set has factors, `factors` `[m, k]`, `factor_names` `[k]`, and `left_out`, names of factors that
            `discrete_mig` and `factor_leakage_*` leave out.
    """
    n = len(dataset)
    index = np.sort(np.random.default_rng(0).choice(n, min(limit, n), replace=False))  # [m]
    codes = encode(encoder, dataset, [index], batch_size=batch_size, device=device, progress=progress)
    found = {"codes": codes(index), "index": index}
    factors = source_of(dataset).factors(index)  # [m, k]
    if getattr(dataset, "item_names", None) is not None:
        found["names"] = np.array(dataset.item_names)[index]
    if factors.shape[1]:
        found |= {"factors": factors, "factor_names": np.array(dataset.factor_names, dtype=str)}
        found["left_out"] = np.array(dataset.left_out, dtype=str)
    return found
