"""`evaluate`: draws the samples of all metrics, encodes each once, and computes the scores."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import chain
from typing import Any

import numpy as np

from metrics.encoding import CodeTable, encode
from metrics.factor import ACTIVE_DEVIATION
from metrics.factors import FactorTable, check_factors, pandas_names
from metrics.inputs import InputError, as_table, check_representations, deviations
from metrics.metric import Request
from metrics.presets import Preset, find_preset
from metrics.registry import METRICS
from metrics.registry import scores as declared
from metrics.sampling import PlainSource, RowSource, generator, source_of


def find_metrics(names: Sequence[str] | None) -> list[str]:
    """The names as a list without repetitions; None: all. Raises InputError for unknown names."""
    if names is None:
        names = [name for name, metric in METRICS.items() if "runs" not in metric.needs]
    names = [names] if isinstance(names, str) else list(names)
    unknown = [name for name in names if name not in METRICS]
    if unknown:
        raise InputError(f"unknown metric {unknown[0]!r}: choose from {', '.join(METRICS)}")
    return list(dict.fromkeys(names))


def applicable(names: Sequence[str] | None, source, decoder: Callable | None) -> list[str]:
    """The names as a list; None: all metrics that the inputs allow. Raises InputError for a name they do not allow."""
    lacking = {
        "runs": "the codes of several runs: metrics.udr([codes, codes, ...]), or --metrics udr with several files"
    }
    if not len(source.sizes):
        lacking["factors"] = "factors, and there are none"
    if not source.complete:
        lacking["steps"] = "every combination of the factors exactly once (a data set, or its whole table)"
    if decoder is None:
        lacking["decoder"] = "a decoder and a data set: evaluate(encoder, dataset, decoder=...)"
    allowed = []
    for name in find_metrics(names):
        missing = [lacking[need] for need in METRICS[name].needs if need in lacking]
        if not missing:
            allowed.append(name)
        elif names is not None:
            raise InputError(f"metric {name!r} needs {missing[0]}")
    return allowed


def draw(
    source, names: Sequence[str], preset: Preset, seed: int, replicate: int = 0
) -> dict[str, dict[str, np.ndarray]]:
    """Metric name -> its index arrays. Metrics without a `draw` share their points.

    Replicate 0 follows the protocol. In other replicates (bootstrap), tables are resampled, and metrics that draw their
    own samples draw them from resampled rows.
    """
    suffix = f" {replicate}" if replicate else ""
    sampled = source
    if replicate and any(METRICS[name].draw is not None and not METRICS[name].on_tables for name in names):
        sampled = source.replicate(generator(seed, "rows" + suffix))  # takes seconds for large tables
    points = source.split(generator(seed, "points"), preset.train_points, preset.test_points)
    resampled = source.resample(generator(seed, "points" + suffix), points) if replicate else points
    drawn = {}
    for name in names:
        metric = METRICS[name]
        if metric.draw is None:
            drawn[name] = resampled
        elif metric.on_tables and replicate:
            drawn[name] = source.resample(
                generator(seed, name + suffix), metric.draw(source, preset, generator(seed, name))
            )
        else:
            drawn[name] = metric.draw(sampled, preset, generator(seed, name + suffix))
    return drawn


def indices_of(drawn: dict[str, dict[str, np.ndarray]]) -> Iterator[np.ndarray]:
    """Yields all arrays of sample indices of `draw`; `..._label` arrays hold classes instead."""
    for arrays in drawn.values():
        yield from (array for key, array in arrays.items() if not key.endswith("_label"))


def _table_source(
    representations, factors, test: tuple[Any, Any] | None, names: Sequence[str] | None, left_out, bins
) -> tuple[RowSource, CodeTable]:
    """The checked rows as a source, and their codes; rows of a test set are at the end."""
    codes, values = _pair(representations, factors)
    test_rows = 0
    if test is not None:
        test_codes, test_values = _pair(*test, " of the test set")
        if test_codes.shape[1] != codes.shape[1] or test_values.shape[1] != values.shape[1]:
            raise InputError("the test set has another number of latents or factors than the training set")
        for what, train, other in zip(("latents", "factors"), (representations, factors), test, strict=True):
            if hasattr(train, "columns") and hasattr(other, "columns") and list(train.columns) != list(other.columns):
                raise InputError(
                    f"the {what} of the test set are other columns than those of the training set, or in another order"
                )
        test_rows = len(test_codes)
        codes, values = np.concatenate([codes, test_codes]), np.concatenate([values, test_values])
    if factors is None:
        if names is not None or left_out is not None or bins is not None:
            raise InputError("factor_names, left_out and bins are for factors, and none are given")
        table = FactorTable(values, (), np.zeros(0, dtype=np.int64))
    else:
        names = pandas_names(factors) if names is None else names
        table = check_factors(values, names=names, left_out=left_out, bins=bins)
    return RowSource(table, test_rows), CodeTable(check_representations(codes))


def _pair(representations, factors, suffix: str = "") -> tuple[np.ndarray, np.ndarray]:
    """Codes and factors as tables; `[n, 0]` for None. Raises InputError unless they have equally many rows."""
    codes = as_table(representations, f"representations{suffix}", "latents")
    if factors is None:
        return codes, np.zeros((len(codes), 0), dtype=np.int64)
    values = as_table(factors, f"factors{suffix}", "factors")
    if len(codes) != len(values):
        raise InputError(f"representations{suffix} have {len(codes)} rows but factors{suffix} have {len(values)}")
    both_pandas = hasattr(representations, "iloc") and hasattr(factors, "iloc")
    if both_pandas and not representations.index.equals(factors.index):
        raise InputError(
            f"representations{suffix} and factors{suffix} are pandas tables with different indices: align them, for "
            "example by factors.loc[representations.index], or drop the indices by .to_numpy()"
        )
    return codes, values


def _warn_of_constant_factors(names: Sequence[str], factors: int, varying: int) -> None:
    """Warn where fewer than two of the factors vary: some scores then say nothing."""
    if factors and varying == 0:
        warnings.warn("no factor varies in these rows: scores that need one are 0, or 1 by definition", stacklevel=3)
    elif factors > 1 and varying < factors:
        warnings.warn(f"{factors - varying} of {factors} factors are constant in these rows", stacklevel=3)
    if varying == 1:
        same = [key for name in names for key in METRICS[name].outputs if declared()[key].least_factors > 1]
        if same:
            warnings.warn(f"one factor varies: {', '.join(same)} are 1, whatever the code", stacklevel=3)


def _check_settings(seed: int, bootstrap: int, batch_size: int, workers: int | None) -> None:
    for name, value in (("seed", seed), ("bootstrap", bootstrap), ("batch_size", batch_size), ("workers", workers)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | np.integer)):
            raise InputError(f"{name} is {value!r}: give an integer")
    if bootstrap < 0 or bootstrap == 1:
        raise InputError(f"bootstrap is {bootstrap}: a standard error takes at least 2 replicates (0: none)")
    if not 0 <= seed < 2**32:
        raise InputError(f"seed is {seed}: choose one from 0 to {2**32 - 1}")
    if batch_size < 1:
        raise InputError(f"batch_size is {batch_size}: encode at least 1 image at a time")
    if workers is not None and workers < 1:
        raise InputError(f"workers is {workers}: give at least 1, or None for one per core")


def _active(codes: CodeTable, rows: np.ndarray) -> np.ndarray:
    """The latents that the FactorVAE score counts as active: int64 `[active]`. Raises InputError if there are none."""
    active = np.flatnonzero(deviations(codes(rows)) >= ACTIVE_DEVIATION)
    if not len(active):
        raise InputError(f"active_only: no latent has a deviation of {ACTIVE_DEVIATION}; leave it out, or rescale")
    return active


class Scores(dict[str, float]):
    """The result of `evaluate`: name -> value.

    Attributes:
        matrices: name -> `[d, k]`, from which scores were computed.
        protocol: how they were computed, as plain data: names of the `metrics`, `seed`, `preset`, its `samples` (name
            -> count), and with a bootstrap the number of replicates, `bootstrap`.
    """

    def __init__(self, values: Mapping[str, float], matrices: dict[str, np.ndarray], protocol: dict):
        super().__init__(values)
        self.matrices, self.protocol = matrices, protocol


def evaluate(
    representations,
    factors=None,
    metrics: Sequence[str] | None = None,
    *,
    seed: int = 0,
    preset: str | Preset = "full",
    test: tuple[Any, Any] | None = None,
    decoder: Callable | None = None,
    factor_names: Sequence[str] | None = None,
    left_out=None,
    bins: int | Mapping | None = None,
    active_only: bool = False,
    bootstrap: int = 0,
    batch_size: int = 256,
    device: str = "cpu",
    progress: bool = False,
    workers: int | None = None,
) -> Scores:
    """Score a table of codes, or an encoder.

    Args:
        representations: codes `[n, d]` (NumPy, torch of any dtype, pandas or lists), or an encoder: float32 images
            `[n, C, H, W]` -> means `[n, d]`, in evaluation mode already.
        factors: with codes, factors `[n, k]` with a few distinct numbers per column, or None for scores that need no
            factors; with an encoder, the data set (`FactorDataset` or an object with its `factor_sizes`, `len`,
            `index_to_factors`, `batch`). If its `factors` are a table, not None, only the scores that the rows of the
            table allow are computed.
        metrics: names of METRICS; None: all that the inputs allow.
        seed: determines all random numbers; global random states are neither read nor changed.
        preset: `full` (the reference protocol), `fast`, or a Preset.
        test: with codes, a separate test set `(representations, factors)` for the scores that need one.
        decoder: with an encoder, codes `[n, d]` -> images in [0, 1], for the errors in image space.
        factor_names: with codes, names of the columns; None: those of a pandas table.
        left_out: names or numbers of the factors that `discrete_mig` and `factor_leakage_*` leave out; None: as the
            data set declares; of tables, nothing.
        bins: with codes, number of classes to bin continuous factors into, or name -> classes.
        active_only: score only the latents that the FactorVAE score counts as active (deviation at least 0.1).
        bootstrap: 0, or the number of replicates (at least 2) for standard errors: rows are resampled with replacement
            (with an encoder, fresh images), and metrics that draw their own samples draw them again from these.
        batch_size, device, progress: for encoding; the encoder must be on this device.
        workers: number of processes for the trees of DCI; None: one per core.

    Returns:
        name -> value, with the names of `METRICS[...].outputs`, and with bootstrap also `<name>_se`. Its attribute
        `matrices` holds `mutual_information` `[d, k]` in nats (from `mig`) and `importance` `[d, k]` (from `dci`);
        `protocol` records the settings.

    Raises:
        InputError (a UserError and a ValueError): wrong shapes or dtypes, NaN, unknown names, a metric that these
        inputs do not allow.
    """
    from tqdm import tqdm

    preset = find_preset(preset)
    _check_settings(seed, bootstrap, batch_size, workers)
    seed, bootstrap = int(seed), int(bootstrap)  # of NumPy's types, which JSON refuses
    if active_only and decoder is not None:
        raise InputError("active_only: a decoder takes every latent; leave out one of the two")
    is_encoder = callable(representations) and not hasattr(representations, "__array__")
    source: PlainSource
    if is_encoder:
        if not hasattr(factors, "factor_sizes"):
            raise InputError("factors: an encoder is scored on a data set with known factors (a FactorDataset)")
        if factor_names is not None or test is not None:
            raise InputError("factor_names and test are for tables of codes: a data set names its own factors")
        source = source_of(factors, left_out, bins)
    else:
        if decoder is not None:
            raise InputError("decoder: errors in image space need the encoder and the data set, not a table of codes")
        source, codes = _table_source(representations, factors, test, factor_names, left_out, bins)
    names = applicable(metrics, source, decoder)
    _warn_of_constant_factors(names, len(source.sizes), len(source.varying))

    def draws() -> Iterator[dict[str, dict[str, np.ndarray]]]:  # one at a time: many replicates would fill the memory
        return (draw(source, names, preset, seed, replicate) for replicate in range(bootstrap + 1))

    some = source.split(generator(seed, "active"), preset.factor_variance_points, 2)["points"]
    if is_encoder:
        indices = (index for drawn in draws() for index in indices_of(drawn))
        wanted = chain(indices, [some] if active_only else [])
        codes = encode(representations, factors, wanted, batch_size=batch_size, device=device, progress=progress)
    if active_only:
        codes = codes.only(_active(codes, some))
    request = Request(codes, {}, source, preset, seed, workers, decoder, device)
    with tqdm(total=len(names) * (bootstrap + 1), desc="scoring", disable=not progress, leave=False) as bar:
        (scores, found), *replicates = (_score(names, drawn, request, bar) for drawn in draws())
    if replicates:
        scores |= {f"{name}_se": _standard_error([run[name] for run, _ in replicates]) for name in scores}
    counts = asdict(preset)
    record = {"metrics": names, "seed": seed, "preset": counts.pop("name"), "samples": counts}
    return Scores(scores, found, record | ({"bootstrap": bootstrap} if bootstrap else {}))


def _standard_error(scores: Sequence[float]) -> float:
    """The standard deviation of the scores of replicates; no square of a huge or tiny score leaves float64."""
    size = 2.0 ** (np.frexp(np.abs(scores).max())[1] - 1)  # scaling by it is exact
    return float(np.std(np.array(scores) / size, ddof=1)) * size


def _score(
    names: Sequence[str], drawn: dict[str, dict], request: Request, bar
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Scores and matrices of one replicate. Results computed in other processes are waited for last."""
    found: dict[str, dict[str, Any]] = {}
    under_way: dict[str, Callable] = {}
    for name in names:
        bar.set_postfix_str(name)
        values = METRICS[name].score(replace(request, drawn=drawn[name]))
        if callable(values):
            under_way[name] = values
        else:
            found[name] = values
            bar.update()
    for name, wait in under_way.items():
        bar.set_postfix_str(name)
        found[name] = wait()
        bar.update()
    scores = {key: found[name][key] for name in names for key in METRICS[name].outputs if key in found[name]}
    matrices = {key: value for values in found.values() for key, value in values.items() if np.ndim(value) == 2}
    return scores, matrices


def matrices(representations, factors, *, importance: bool = True, **settings) -> dict[str, np.ndarray]:
    """The matrices of MIG and DCI, latents by factors, for heat maps.

    Arguments as for `evaluate` (`seed`, `preset`, `device`, ...); `importance=False` skips the trees, which are slow.

    Returns:
        `mutual_information` `[d, k]` in nats and `importance` `[d, k]`, whose columns sum to 1 (0 for constant
        factors, and those about which the trees learn nothing).
    """
    return evaluate(representations, factors, ["mig", "dci"] if importance else ["mig"], **settings).matrices
