"""What each metric is computed from: a table of codes and factors, and the sample sizes of a protocol."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np

from metrics.beta_vae import beta_vae
from metrics.checks import InputError, halves
from metrics.dci import beyond_guessing, fit_trees, from_trees
from metrics.downstream import downstream
from metrics.explicitness import explicitness
from metrics.factor_leakage import factor_leakage
from metrics.factor_vae import factor_vae
from metrics.info import SCORES
from metrics.irs import irs
from metrics.mig import mig
from metrics.modularity import modularity
from metrics.reconstruction import reconstruction, squared_error
from metrics.rows import draw_steps
from metrics.sap import sap
from metrics.true_independence import true_independence
from metrics.unsupervised import unsupervised


@dataclass(frozen=True)
class Preset:
    """Sample counts of all protocols. To change some: `dataclasses.replace(PRESETS["full"], train_points=5000)`."""

    name: str
    encoded_images: int = 2**40  # images of a data set to encode, a fixed sample; all if it has fewer
    train_points: int = 1_000  # one-set scores, and the training set of DCI, explicitness
    test_points: int = 1_000
    factor_train_votes: int = 10_000  # factor_...: arguments of `factor_vae`; likewise beta_..., dci_..., forest_...
    factor_eval_votes: int = 5_000
    factor_batch: int = 64
    factor_variance_points: int = 10_000
    beta_points: int = 1_000  # for training, and as many for evaluation
    beta_batch: int = 5
    dci_trees: int = 100  # boosting rounds
    step_points: int = 1_000  # pairs (image, image after one symmetry step) for training, and as many for testing
    forest_trees: int = 100  # of the downstream task
    image_points: int = 1_000  # images decoded for reconstruction and image errors
    intervention_points: int = 10_000  # IRS


# `full`: the reference protocol; `fast`: for scores after every epoch and demos.
_FEWER = {"train_points": 500, "test_points": 500, "factor_train_votes": 800, "factor_eval_votes": 800}
_FEWER |= {"factor_batch": 32, "factor_variance_points": 2_000, "beta_points": 500, "dci_trees": 10}
_FEWER |= {"step_points": 300, "image_points": 200, "intervention_points": 2_000, "encoded_images": 50_000}
PRESETS = {"full": Preset("full"), "fast": Preset("fast", **_FEWER)}


def find_preset(preset: str | Preset) -> Preset:
    """The preset of this name, or the given one, checked. Raises InputError for unknown names and too small counts."""
    found = PRESETS.get(preset) if isinstance(preset, str) else preset
    if not isinstance(found, Preset):
        raise InputError(f"preset {preset!r}: choose one of {', '.join(PRESETS)}, or give a Preset")
    for field, count in asdict(found).items():
        least = 1 if field.endswith(("_trees", "beta_batch")) else 2
        if field != "name" and (not isinstance(count, Integral) or count < least):
            raise InputError(f"preset {found.name!r}: {field} is {count!r}; give an integer of at least {least}")
    return found


def generator(seed: int, purpose: str) -> np.random.Generator:
    """A random generator for one purpose, so that the draws of different metrics are independent of each other."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode())])


def steps_of(sizes: tuple[int, ...], preset: Preset, seed: int, replicate: int = 0) -> dict[str, np.ndarray]:
    """`draw_steps` among the combinations of factors of these sizes, for an evaluation or a replicate (from 1)."""
    return draw_steps(sizes, preset.step_points, generator(seed, f"steps {replicate}"))


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
        preset, seed, workers: as for `evaluate`. replicate: of a bootstrap, from 1, with draws of its own; else 0.
        test: codes and factors of a given test set.
        left_out: columns of the factors that `discrete_mig` and `factor_leakage_*` leave out.
        sizes: of the factors, if every combination of them exists.
        step_codes: `[m, d]`, with the codes of all combinations that are drawn as steps.
        step_rows: the row of `step_codes` of each combination, in row-major order.
        images: for errors in image space.
    """

    codes: np.ndarray
    factors: np.ndarray
    preset: Preset
    seed: int = 0
    workers: int | None = None
    replicate: int = 0
    test: tuple[np.ndarray, np.ndarray] | None = None
    left_out: tuple[int, ...] = ()
    sizes: tuple[int, ...] = ()
    step_codes: np.ndarray | None = None
    step_rows: np.ndarray | None = None
    images: Images | None = None

    def generator(self, purpose: str) -> np.random.Generator:
        """The random generator of a metric."""
        return generator(self.seed, f"{purpose} {self.replicate}" if self.replicate else purpose)

    def options(self, prefix: str) -> dict[str, Any]:
        """The counts of the preset whose names start with the prefix, as arguments."""
        counts = asdict(self.preset).items()
        return {name.removeprefix(prefix): count for name, count in counts if name.startswith(prefix)}

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

    @property
    def steps(self) -> dict[str, np.ndarray]:
        """The steps between combinations of the factors, see `draw_steps`."""
        return steps_of(self.sizes, self.preset, self.seed, self.replicate)

    def pairs(self, *names: str) -> list[np.ndarray]:
        """The codes of `steps` by name: of the training pairs, then of the test pairs."""
        assert self.step_codes is not None and self.step_rows is not None
        steps = self.steps
        return [self.step_codes[self.step_rows[steps[name][part]]] for part in range(2) for name in names]


def _factor_vae(t: Tables) -> dict[str, float]:
    return factor_vae.__wrapped__(t.codes, t.factors, **t.options("factor_"), random_state=t.generator("factor_vae"))


def _beta_vae(t: Tables) -> dict[str, float]:
    return beta_vae.__wrapped__(t.codes, t.factors, **t.options("beta_"), random_state=t.generator("beta_vae"))


def _dci(t: Tables) -> dict[str, Any]:
    _, factors, _, factors_test = tables = t.split
    settings = {**t.options("dci_"), "random_state": t.seed, "workers": t.workers}
    importance, accuracy, accuracy_test = fit_trees(*tables, **settings)
    matrix = beyond_guessing(importance, factors, factors_test, accuracy_test)
    return {**from_trees(importance, accuracy, accuracy_test), "importance": matrix}


def _downstream(t: Tables) -> dict[str, float]:
    if max(t.sizes) == 1:  # no factor varies: nothing to predict
        return {"downstream_rep": 1.0}
    before, after, before_test, after_test = t.pairs("before", "after")
    label, label_test = t.steps["label"]
    settings = {**t.options("forest_"), "random_state": t.seed, "workers": t.workers}
    return downstream(before, after, label, before_test, after_test, label_test, **settings)


def _true_independence(t: Tables) -> dict[str, float]:
    before, after, before_test, after_test = t.pairs("start", "end")
    moving = [size for size in t.sizes if size > 1]
    if t.images is None:
        return true_independence(before, after, before_test, after_test, moving)
    decoder, dataset, _, device = t.images
    target = t.steps["end"][1].reshape(-1)  # [k n], of a grid: images are its combinations

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
    """A metric: Tables -> scores by key; the keys, or what they start with; and what it needs: "", "factors", "steps"
    (every combination of the factors), "decoder" (and a data set), or "runs" (codes of several; see `metrics.udr`)."""

    score: Callable[[Tables], Mapping[str, Any]]
    starts: tuple[str, ...]
    needs: str = "factors"

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of its scores."""
        return tuple(key for key in SCORES if key.startswith(self.starts))


METRICS: dict[str, Metric] = {
    "factor_vae": Metric(_factor_vae, ("fac_",)),
    "beta_vae": Metric(_beta_vae, ("hig_acc", "val_hig_acc")),
    "mig": Metric(lambda t: mig.__wrapped__(*t.points, left_out=t.left_out), ("discrete_mig",)),
    "sap": Metric(lambda t: sap.__wrapped__(*t.points), ("SAP_score",)),
    "dci": Metric(_dci, ("dci_",)),
    "modularity": Metric(lambda t: modularity.__wrapped__(*t.points), ("modularity_score",)),
    "explicitness": Metric(lambda t: explicitness.__wrapped__(*t.split), ("explicitness_score",)),
    "factor_leakage": Metric(
        lambda t: factor_leakage.__wrapped__(*t.points, left_out=t.left_out), ("factor_leakage_",)
    ),
    "irs": Metric(lambda t: irs.__wrapped__(*t.some(t.preset.intervention_points, "irs")), ("IRS",)),
    "unsupervised": Metric(lambda t: unsupervised(t.points[0]), ("gaussian_", "mutual_info_score"), needs=""),
    "downstream": Metric(_downstream, ("downstream_rep",), needs="steps"),
    "true_independence": Metric(
        _true_independence, ("independence_score", "cyclic_order_error", "symmetry_"), needs="steps"
    ),
    "reconstruction": Metric(_reconstruction, ("reconstruction_error",), needs="decoder"),
}
