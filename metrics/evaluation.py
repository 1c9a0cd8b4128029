"""`evaluate`: draw every metric's samples, encode each once, score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict

import numpy as np

from metrics.inputs import InputError, check_pair
from metrics.presets import Preset, find_preset
from metrics.registry import METRICS, Request
from metrics.sampling import CodeTable, GridSource, RowSource, encode, generator


def find_metrics(names: Sequence[str] | None) -> list[str]:
    """The names wanted, checked; None means all. Raises InputError for a name that METRICS lacks."""
    names = list(METRICS) if names is None else [names] if isinstance(names, str) else list(names)
    unknown = [name for name in names if name not in METRICS]
    if unknown:
        raise InputError(f"unknown metric {unknown[0]!r}: choose from {', '.join(METRICS)}")
    return list(dict.fromkeys(names))


def draw(source, names: Sequence[str], preset: Preset, seed: int) -> dict[str, dict[str, np.ndarray]]:
    """Metric name -> its index arrays. The metrics of one table share their points."""
    points = source.split(generator(seed, "points"), preset.train_points, preset.test_points)
    return {
        name: METRICS[name].draw(source, preset, generator(seed, name)) if METRICS[name].draw else points
        for name in names
    }


def _indices(drawn: dict[str, dict[str, np.ndarray]]):
    """Every array of sample indices among the draws; `..._fixed` arrays name factors instead."""
    for arrays in drawn.values():
        yield from (array for key, array in arrays.items() if not key.endswith("fixed"))


def evaluate(
    representations,
    factors,
    metrics: Sequence[str] | None = None,
    *,
    seed: int = 0,
    preset: str | Preset = "full",
    test: tuple | None = None,
    batch_size: int = 512,
    device: str = "cpu",
    progress: bool = False,
    workers: int | None = None,
) -> dict[str, float]:
    """Scores of a code table or of an encoder.

    Args:
        representations: codes `[n, d]` (NumPy or torch), or an encoder: float32 images `[n, C, H, W]` -> means `[n,
            d]`, in evaluation mode already.
        factors: with codes, factors `[n, k]` (integers, or a few float levels a column); with an encoder, the data set
            (`FactorDataset` or anything with its `factor_sizes`, `len`, `index_to_factors`, `batch`).
        metrics: names of METRICS; None: all.
        seed: the same seed gives the same numbers; global random states are neither read nor changed.
        preset: `full` (the reference protocol), `fast`, or a Preset.
        test: with codes, a separate test set `(representations, factors)` for the scores that need one.
        batch_size, device, progress: of the encoding; the encoder must be on that device.
        workers: processes for DCI's trees; None: one per core.

    Returns:
        name -> value, the names of `METRICS[...].outputs`.

    Raises:
        InputError (a UserError and a ValueError): wrong shapes or dtypes, NaN, unknown names.
    """
    names, preset = find_metrics(metrics), find_preset(preset)
    if callable(representations) and not hasattr(representations, "__array__"):
        if not hasattr(factors, "factor_sizes"):
            raise InputError("factors: an encoder is scored on a data set with known factors (a FactorDataset)")
        source = GridSource(factors)
        drawn = draw(source, names, preset, seed)
        settings = {"batch_size": batch_size, "device": device, "progress": progress}
        codes: Callable = encode(representations, factors, _indices(drawn), **settings)
    else:
        table, values = check_pair(representations, factors)
        test_rows = 0
        if test is not None:
            test_table, test_values = check_pair(*test, " of the test set")
            if test_table.shape[1] != table.shape[1] or test_values.shape[1] != values.shape[1]:
                raise InputError("the test set has another number of latents or factors than the training set")
            table, values = np.concatenate([table, test_table]), np.concatenate([values, test_values])
            test_rows = len(test_table)
        source = RowSource(values, test_rows)
        drawn = draw(source, names, preset, seed)
        codes = CodeTable(table)
    scores: dict[str, float] = {}
    for name in names:
        request = Request(codes, drawn[name], source, preset, seed, workers)
        values = METRICS[name].score(request)
        scores |= {output: values[output] for output in METRICS[name].outputs}
    return scores


def protocol(metrics: Sequence[str] | None = None, *, seed: int = 0, preset: str | Preset = "full") -> dict:
    """What `evaluate` would do, for the record beside the scores: metrics, seed, preset and its sample counts."""
    preset = find_preset(preset)
    counts = asdict(preset)
    return {"metrics": find_metrics(metrics), "seed": seed, "preset": counts.pop("name"), "samples": counts}
