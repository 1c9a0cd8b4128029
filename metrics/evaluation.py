"""`evaluate`: every score of a table of codes. How each is computed from the table: metrics/protocol.py."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from metrics.checks import InputError, check_codes, check_tables, labels, varying
from metrics.info import SCORES
from metrics.mig import information_beyond_chance
from metrics.protocol import METRICS, Preset, Tables, find_preset, generator
from metrics.rows import combinations


def find_metrics(names: Sequence[str] | None) -> list[str]:
    """The names as a list without repetitions; None: all. Raises InputError for unknown names."""
    names = list(METRICS) if names is None else [names] if isinstance(names, str) else list(names)
    if unknown := [name for name in names if name not in METRICS]:
        raise InputError(f"unknown metric {unknown[0]!r}: choose from {', '.join(METRICS)}")
    return list(dict.fromkeys(names))


def applicable(names: Sequence[str] | None, t: Tables) -> list[str]:
    """The names as a list; None: all metrics that the tables allow. Raises InputError for a name they do not allow."""
    lacking = {}
    if not t.factors.shape[1]:
        lacking["factors"] = "factors, and there are none"
    if not t.sizes:
        lacking["steps"] = "every combination of the factors exactly once (a data set, or its whole table)"
    if t.images is None:
        lacking["decoder"] = "a decoder and a data set: metrics.score_model(encoder, decoder, dataset)"
    allowed = [name for name in find_metrics(names) if METRICS[name].needs not in lacking]
    if names is not None and (refused := [name for name in find_metrics(names) if name not in allowed]):
        raise InputError(f"metric {refused[0]!r} needs {lacking[METRICS[refused[0]].needs]}")
    return allowed


def warn_of_constant_factors(names: Sequence[str], factors: np.ndarray) -> None:
    """Warn where fewer than two of the factors `[n, k]` vary: some scores then say nothing."""
    count, moving = factors.shape[1], len(varying(factors))
    if count and not moving:
        warnings.warn("no factor varies in these rows: scores that need one are 0, or 1 by definition", stacklevel=3)
    elif count > 1 and moving < count:
        warnings.warn(f"{count - moving} of {count} factors are constant in these rows", stacklevel=3)
    if moving == 1:
        same = [key for name in names for key in METRICS[name].keys if SCORES[key].least_factors > 1]
        if same:
            warnings.warn(f"one factor varies: {', '.join(same)} are 1, whatever the code", stacklevel=3)


def check_settings(**integers: int | None) -> None:
    """Raise InputError unless `seed`, `bootstrap`, `workers` and others are integers in their ranges."""
    optional = ("workers", "batch_size")
    for name, value in integers.items():
        if value is None and name in optional:
            continue
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise InputError(f"{name} is {value!r}: give an integer")
        if name == "bootstrap" and (value < 0 or value == 1):
            raise InputError(f"bootstrap is {value}: a standard error takes at least 2 replicates (0: none)")
        if name == "seed" and not 0 <= value < 2**32:
            raise InputError(f"seed is {value}: choose one from 0 to {2**32 - 1}")
        if name in optional and value < 1:
            raise InputError(f"{name} is {value}: give at least 1")


class Scores(dict[str, float]):
    """The result of `evaluate`: key -> value.

    Attributes:
        matrices: `mutual_information` `[d, k]` in nats (with `mig`; of all rows, less that with shuffled factors) and
            `importance` `[d, k]` (with `dci`; times the share of each factor that trees predict beyond guessing): both
            about 0 where the code says nothing.
        protocol: how they were computed, as plain data: names of the `metrics`, `seed`, `preset`, its `samples` (name
            -> count), and with a bootstrap the number of replicates, `bootstrap`.
    """

    def __init__(self, values: Mapping[str, float], matrices: dict[str, np.ndarray], protocol: dict):
        super().__init__(values)
        self.matrices, self.protocol = matrices, protocol


def evaluate(
    codes,
    factors=None,
    metrics: Sequence[str] | None = None,
    *,
    test: tuple[Any, Any] | None = None,
    left_out: Sequence[int] = (),
    seed: int = 0,
    preset: str | Preset = "full",
    bootstrap: int = 0,
    workers: int | None = None,
    progress: bool = False,
) -> Scores:
    """Score a table of codes.

    Args:
        codes: `[n, d]`: NumPy, torch of any dtype, pandas or lists.
        factors: `[n, k]` with a few distinct numbers per column, or None for scores that need no factors.
        metrics: names of METRICS; None: all that the tables allow.
        test: a separate test set `(codes, factors)` for the scores that need one.
        left_out: columns of the factors that `discrete_mig` and `factor_leakage_*` leave out, as a data set declares.
        seed: determines all random numbers; global random states are neither read nor changed.
        preset: `full` (the reference protocol), `fast`, or a Preset.
        bootstrap: 0, or the number of replicates (at least 2) for standard errors, see `standard_errors`.
        workers: number of processes for the trees of DCI; None: one per core.

    Returns: key -> value, with the keys of SCORES, and with a bootstrap also `<key>_se`.

    Raises:
        InputError (a UserError and a ValueError): wrong shapes or dtypes, NaN, unknown names, a metric that these
        tables do not allow.
    """
    preset = find_preset(preset)
    check_settings(seed=seed, bootstrap=bootstrap, workers=workers)
    if factors is None:
        z = check_codes(codes)
        return score_tables(Tables(z, np.zeros((len(z), 0)), preset, int(seed), workers), metrics, bootstrap, progress)
    z, f, *rest = check_tables(codes, factors, *(test or ()))
    t = Tables(z, f, preset, int(seed), workers, test=tuple(rest) or None, left_out=tuple(left_out))  # type: ignore[arg-type]
    if whole := combinations(f):
        sizes, rows = whole
        t = replace(t, sizes=sizes, step_codes=z, step_rows=rows)
    return score_tables(t, metrics, bootstrap, progress)


def score_tables(t: Tables, metrics: Sequence[str] | None, bootstrap: int = 0, progress: bool = False) -> Scores:
    """The scores of checked tables."""
    from tqdm import tqdm

    names = applicable(metrics, t)
    warn_of_constant_factors(names, t.factors)
    scores: dict[str, float] = {}
    matrices: dict[str, np.ndarray] = {}
    with tqdm(names, desc="scoring", disable=not progress, leave=False) as bar:
        for name in bar:
            bar.set_postfix_str(name)
            found = METRICS[name].score(t)
            scores |= {key: found[key] for key in METRICS[name].keys if key in found}
            matrices |= {key: value for key, value in found.items() if np.ndim(value) == 2}
    if "mig" in names:
        matrices["mutual_information"] = information_beyond_chance(t.codes, labels(t.factors))
    if bootstrap:
        scores |= standard_errors(t, names, int(bootstrap), progress)
    counts = asdict(t.preset)
    counts["encoded_images"] = min(counts["encoded_images"], len(t.codes))
    record = {"metrics": names, "seed": t.seed, "preset": counts.pop("name"), "samples": counts}
    return Scores(scores, matrices, record | ({"bootstrap": int(bootstrap)} if bootstrap else {}))


def standard_errors(t: Tables, names: Sequence[str], replicates: int, progress: bool) -> dict[str, float]:
    """`<key>_se`: the deviation of each score over evaluations of random halves of the rows, with draws of their own.

    The error of drawing the samples of the protocol from the rows, and the rows: a half without replacement varies
    around all rows as these vary around everything (half-sample jackknife; Politis & Romano 1994). Steps are drawn anew
    from all combinations. The seed of the training is not in it. A score that half of the rows are too few
    for, such as IRS, has none.
    """
    from tqdm import tqdm

    found = []
    for i in tqdm(range(1, replicates + 1), desc="half-samples", disable=not progress, leave=False):
        rows = generator(t.seed, f"half {i}").permutation(len(t.codes))[: (len(t.codes) + 1) // 2]
        half = replace(t, codes=t.codes[rows], factors=t.factors[rows], replicate=i)
        with warnings.catch_warnings(action="ignore"):
            found.append({key: value for name in names for key, value in METRICS[name].score(half).items()})
    common = set.intersection(*(set(scores) for scores in found))
    keys = [key for name in names for key in METRICS[name].keys if key in common]
    return {f"{key}_se": float(np.std([scores[key] for scores in found], ddof=1)) for key in keys}
