"""`evaluate`: every score of a table of codes. Each metric is a function of tables, in a file of its own."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from metrics.beta_vae import beta_vae
from metrics.checks import InputError, check_codes, check_tables, halves, labels, varying
from metrics.dci import beyond_guessing, fit_trees, from_trees
from metrics.downstream import downstream
from metrics.explicitness import explicitness
from metrics.factor_leakage import factor_leakage
from metrics.factor_vae import factor_vae
from metrics.info import SCORES
from metrics.irs import irs
from metrics.mig import information_beyond_chance, mig
from metrics.modularity import modularity
from metrics.presets import Preset, find_preset
from metrics.reconstruction import reconstruction, squared_error
from metrics.rows import combinations, draw_steps
from metrics.sap import sap
from metrics.true_independence import true_independence
from metrics.unsupervised import unsupervised


def generator(seed: int, purpose: str) -> np.random.Generator:
    """A random generator for one purpose, so that the draws of different metrics are independent of each other."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode())])


class Images(NamedTuple):
    """What errors in image space need: codes -> images in [0, 1], the data set, images of `step_codes`."""

    decoder: Callable
    dataset: Any
    rows: np.ndarray
    device: str


@dataclass(frozen=True)
class Tables:
    """What the metrics are computed from.

    Attributes:
        codes, factors: `[n, d]`, `[n, k]`, checked.
        preset, seed, workers: as for `evaluate`. purpose: makes the draws of this evaluation.
        test: codes and factors of a given test set.
        left_out: columns of the factors that `discrete_mig` and `factor_leakage_*` leave out.
        sizes: of the factors, if every combination of them exists.
        steps: `draw_steps`, as rows of `step_codes` `[m, d]`.
        images: for errors in image space.
    """

    codes: np.ndarray
    factors: np.ndarray
    preset: Preset
    seed: int = 0
    workers: int | None = None
    purpose: str = ""
    test: tuple[np.ndarray, np.ndarray] | None = None
    left_out: tuple[int, ...] = ()
    sizes: tuple[int, ...] = ()
    steps: Mapping[str, np.ndarray] | None = None
    step_codes: np.ndarray | None = None
    images: Images | None = None

    def generator(self, purpose: str) -> np.random.Generator:
        """The random generator of a metric."""
        return generator(self.seed, purpose + self.purpose)

    def some(self, count: int, purpose: str = "points") -> tuple[np.ndarray, np.ndarray]:
        """Codes and factors of so many random rows; of all, in order, if there are no more."""
        if count >= len(self.codes):
            return self.codes, self.factors
        rows = self.generator(purpose).permutation(len(self.codes))[:count]
        return self.codes[rows], self.factors[rows]

    @property
    def points(self) -> tuple[np.ndarray, np.ndarray]:
        """Codes and factors for the scores of one set."""
        return self.some(self.preset.train_points)

    @property
    def split(self) -> list[np.ndarray]:
        """Codes and factors of the training set, then of the test set, which is apart; halves if there are few rows."""
        train, test = self.preset.train_points, self.preset.test_points
        if self.test is not None:
            return [*self.points, *self.test]
        if train + test > len(self.codes):
            return halves(self.codes, self.factors, random_state=self.generator("points"))
        z, factors = self.some(train + test)
        return [z[:train], factors[:train], z[train:], factors[train:]]

    def pairs(self, *names: str) -> list[np.ndarray]:
        """The codes of `steps` by name: of the training pairs, then of the test pairs."""
        return [self.step_codes[self.steps[name][part]] for part in range(2) for name in names]  # type: ignore[index]


def _factor_vae(t: Tables) -> dict[str, float]:
    p = t.preset
    counts = (p.factor_train_votes, p.factor_eval_votes, p.factor_batch, p.factor_variance_points)
    names = ("train_votes", "eval_votes", "batch", "variance_points")
    options: dict[str, Any] = dict(zip(names, counts, strict=True))
    return factor_vae.__wrapped__(t.codes, t.factors, **options, random_state=t.generator("factor_vae"))


def _beta_vae(t: Tables) -> dict[str, float]:
    options = {"points": t.preset.beta_points, "batch": t.preset.beta_batch}
    return beta_vae.__wrapped__(t.codes, t.factors, **options, random_state=t.generator("beta_vae"))


def _dci(t: Tables) -> dict[str, Any]:
    z, factors, z_test, factors_test = t.split
    settings: dict[str, Any] = {"trees": t.preset.dci_trees, "random_state": t.seed, "workers": t.workers}
    importance, accuracy, accuracy_test = fit_trees(z, factors, z_test, factors_test, **settings)
    matrix = beyond_guessing(importance, factors, factors_test, accuracy_test)
    return {**from_trees(importance, accuracy, accuracy_test), "importance": matrix}


def _downstream(t: Tables) -> dict[str, float]:
    assert t.steps is not None
    before, after, before_test, after_test = t.pairs("before", "after")
    label, label_test = t.steps["label"]
    if not t.steps["start"].size:  # no factor varies: nothing to predict
        return {"downstream_rep": 1.0}
    settings: dict[str, Any] = {"trees": t.preset.forest_trees, "random_state": t.seed, "workers": t.workers}
    return downstream(before, after, label, before_test, after_test, label_test, **settings)


def _true_independence(t: Tables) -> dict[str, float]:
    assert t.steps is not None
    before, after, before_test, after_test = t.pairs("start", "end")
    moving = [size for size in t.sizes if size > 1]
    if t.images is None:
        return true_independence(before, after, before_test, after_test, moving)
    decoder, dataset, index, device = t.images
    target = index[t.steps["end"][1].reshape(-1)]  # [k n]

    def image_error(codes: np.ndarray) -> float:
        rows = t.generator("images").permutation(len(target))[: t.preset.image_points]
        errors = squared_error(decoder, dataset, codes[rows], target[rows], device)
        return float(errors.mean()) / int(np.prod(dataset.batch(target[:1], device).shape))

    return true_independence(before, after, before_test, after_test, moving, image_error=image_error)


def _reconstruction(t: Tables) -> dict[str, float]:
    assert t.images is not None and t.step_codes is not None
    decoder, dataset, index, device = t.images
    rows = t.generator("reconstruction").integers(len(index), size=t.preset.image_points)
    return reconstruction(decoder, dataset, t.step_codes[rows], index[rows], device)


class Metric(NamedTuple):
    """A metric: Tables -> scores by key; the keys; and what it needs: "", "factors", "steps" (every combination of the
    factors), "decoder" (and a data set), or "runs" (codes of several; see `metrics.udr`)."""

    score: Callable[[Tables], Mapping[str, Any]]
    keys: tuple[str, ...]
    needs: str = "factors"


METRICS: dict[str, Metric] = {
    "factor_vae": Metric(_factor_vae, ("fac_eval", "fac_train", "fac_num_act")),
    "beta_vae": Metric(_beta_vae, ("hig_acc", "val_hig_acc")),
    "mig": Metric(
        lambda t: mig.__wrapped__(*t.points, left_out=t.left_out), ("discrete_mig", "discrete_mig_all_factors")
    ),
    "sap": Metric(lambda t: sap.__wrapped__(*t.points), ("SAP_score",)),
    "dci": Metric(_dci, tuple(key for key in SCORES if key.startswith("dci_"))),
    "modularity": Metric(lambda t: modularity.__wrapped__(*t.points), ("modularity_score",)),
    "explicitness": Metric(
        lambda t: explicitness.__wrapped__(*t.split), ("explicitness_score_train", "explicitness_score_test")
    ),
    "factor_leakage": Metric(
        lambda t: factor_leakage.__wrapped__(*t.points, left_out=t.left_out),
        tuple(key for key in SCORES if key.startswith("factor_leakage_")),
    ),
    "irs": Metric(lambda t: irs.__wrapped__(*t.some(t.preset.intervention_points, "irs")), ("IRS", "IRS_unweighted")),
    "unsupervised": Metric(
        lambda t: unsupervised(t.points[0]),
        tuple(key for key in SCORES if key.startswith("gaussian_")) + ("mutual_info_score",),
        needs="",
    ),
    "downstream": Metric(_downstream, ("downstream_rep",), needs="steps"),
    "true_independence": Metric(
        _true_independence,
        ("independence_score", "cyclic_order_error", "symmetry_code_error", "symmetry_image_error"),
        needs="steps",
    ),
    "reconstruction": Metric(_reconstruction, ("reconstruction_error",), needs="decoder"),
}


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
    if t.steps is None:
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
    for name, value in integers.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | np.integer)):
            raise InputError(f"{name} is {value!r}: give an integer")
    bootstrap, seed = integers["bootstrap"], integers["seed"]
    if bootstrap is None or bootstrap < 0 or bootstrap == 1:
        raise InputError(f"bootstrap is {bootstrap}: a standard error takes at least 2 replicates (0: none)")
    if seed is None or not 0 <= seed < 2**32:
        raise InputError(f"seed is {seed}: choose one from 0 to {2**32 - 1}")
    for name in ("workers", "batch_size"):
        value = integers.get(name)
        if value is not None and value < 1:
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
    draws = []
    if whole := combinations(f):
        sizes, rows = whole
        t = replace(t, sizes=sizes, step_codes=z)
        draws = [
            {name: drawn if name == "label" else rows[drawn] for name, drawn in one.items()}
            for one in draw_all_steps(sizes, preset, int(seed), bootstrap)
        ]
    return score_tables(t, metrics, bootstrap, progress, draws)


def draw_all_steps(sizes: tuple[int, ...], preset: Preset, seed: int, bootstrap: int) -> list[dict[str, np.ndarray]]:
    """`draw_steps` of the evaluation, then of each replicate."""
    return [draw_steps(sizes, preset.step_points, generator(seed, f"steps {i}")) for i in range(bootstrap + 1)]


def score_tables(
    t: Tables,
    metrics: Sequence[str] | None,
    bootstrap: int = 0,
    progress: bool = False,
    draws: Sequence[Mapping[str, np.ndarray]] = (),
) -> Scores:
    """The scores of checked tables; `draws`: their `steps`, and those of each replicate."""
    from tqdm import tqdm

    t = replace(t, steps=draws[0]) if draws else t
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
        scores |= standard_errors(t, names, int(bootstrap), draws, progress)
    counts = asdict(t.preset)
    counts["encoded_images"] = min(counts["encoded_images"], len(t.codes))
    record = {"metrics": names, "seed": t.seed, "preset": counts.pop("name"), "samples": counts}
    return Scores(scores, matrices, record | ({"bootstrap": int(bootstrap)} if bootstrap else {}))


def standard_errors(
    t: Tables, names: Sequence[str], replicates: int, draws: Sequence[Mapping[str, np.ndarray]], progress: bool
) -> dict[str, float]:
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
        half = replace(t, codes=t.codes[rows], factors=t.factors[rows], purpose=f" {i}")
        half = replace(half, steps=draws[i]) if draws else half
        with warnings.catch_warnings(action="ignore"):
            found.append({key: value for name in names for key, value in METRICS[name].score(half).items()})
    common = set.intersection(*(set(scores) for scores in found))
    keys = [key for name in names for key in METRICS[name].keys if key in common]
    return {f"{key}_se": float(np.std([scores[key] for scores in found], ddof=1)) for key in keys}
