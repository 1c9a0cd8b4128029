"""The scores of a model on a whole data set, and what is recorded beside them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from metrics.evaluation import applicable, evaluate, find_metrics, protocol
from metrics.sampling import encode, source_of

KEPT_CODES = 10_000  # images whose mean codes are recorded, for scores that compare runs


class ModelScores(NamedTuple):
    """Scores, how they were measured (plain data), and what lies behind them.

    matrices: catalogue name -> float `[latents, factors]`.
    codes: `mean_codes` of KEPT_CODES images.
    left_out: one line on what cannot be scored on this data set; empty for none.
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
    seed: int,
    preset: str,
    bootstrap: int = 0,
    device: str = "cpu",
    progress: bool = False,
    workers: int | None = None,
) -> ModelScores:
    """Every score that the data set allows. Arguments as of `evaluate`; of a `FactorDataset`, its name goes on record.

    Raises InputError as `evaluate`.
    """
    names, left_out = taken_from(dataset)
    scores = evaluate(
        encoder,
        dataset,
        names,
        seed=seed,
        preset=preset,
        decoder=decoder,
        bootstrap=bootstrap,
        device=device,
        progress=progress,
        workers=workers,
    )
    data = {
        "dataset": dataset.name,
        "data_source": dataset.source,
        "images": len(dataset),
        "left_out": list(dataset.left_out),
        "varying_factors": sum(size > 1 for size in dataset.factor_sizes),
    }
    codes = mean_codes(encoder, dataset, KEPT_CODES, device=device, progress=progress)
    record = {**protocol(names, seed=seed, preset=preset, bootstrap=bootstrap), **data}
    return ModelScores(scores, record, scores.matrices, codes, left_out)


def taken_from(dataset) -> tuple[list[str], str]:
    """The metrics that can be taken of a model on a data set, and one line on those that cannot, empty for none."""
    source = source_of(dataset)
    names = applicable(None, source, decoder=print)
    left_out = [name for name in find_metrics(None) if name not in names]
    if not left_out:
        return names, ""
    lack = "its factors are no full grid" if len(source.sizes) else "no factors are known of it"
    return names, f"{dataset.name}: {lack}, so these are not scored: {', '.join(left_out)}"


def mean_codes(
    encoder: Callable, dataset, limit: int, *, batch_size: int = 256, device: str = "cpu", progress: bool = False
) -> dict[str, np.ndarray]:
    """Codes of up to `limit` images, evenly spaced over a data set: the same images for every model, as `udr` wants.

    Args:
        encoder, batch_size, device, progress: as of `evaluate`.

    Returns: `codes` float32 `[m, d]`, `index` int64 `[m]`, and `factors` `[m, k]` where they are known.
    """
    index = np.linspace(0, len(dataset) - 1, min(limit, len(dataset)), dtype=np.int64)  # [m]
    codes = encode(encoder, dataset, [index], batch_size=batch_size, device=device, progress=progress)
    found = {"codes": codes(index), "index": index}
    factors = source_of(dataset).factors(index)  # [m, k]
    return found | ({"factors": factors} if factors.shape[1] else {})
