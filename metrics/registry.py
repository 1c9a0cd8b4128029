"""Metric by name. The one place where a new metric is added."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from metrics import (
    beta,
    dci,
    downstream,
    explicitness,
    factor,
    factor_leakage,
    irs,
    mig,
    modularity,
    reconstruction,
    rmig,
    sap,
    steps,
    true_independence,
    unsupervised,
)
from metrics.discrete import mutual_information_with_factors
from metrics.presets import Preset


@dataclass(frozen=True)
class Request:
    """What a metric is given: codes by index, the indices it drew, and the settings of the evaluation."""

    codes: Callable[[np.ndarray], np.ndarray]  # [...] -> [..., d]
    drawn: dict[str, np.ndarray]
    source: object
    preset: Preset
    seed: int = 0
    workers: int | None = None
    decoder: Callable | None = None
    device: str = "cpu"
    keep: dict | None = None  # matrices made on the way are put here

    def table(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Codes `[n, d]` and factors `[n, k]` of the drawn points, train or test."""
        return self.codes(self.drawn[split]), self.source.factors(self.drawn[split])

    def both(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Codes and factors of train, then of test."""
        return *self.table("train"), *self.table("test")


@dataclass(frozen=True)
class Metric:
    """One entry of the registry.

    Attributes:
        summary: one line for `--list`.
        outputs: the names logged.
        score: Request -> dict of the outputs.
        draw: (source, preset, rng) -> named index arrays (`..._label` arrays hold classes instead); None for the
            metrics that share one draw of points, train and test.
        on_tables: the drawn arrays are tables of independent samples, which a bootstrap may resample.
        needs: `steps` (every combination of the factors), `decoder` (and a data set), or nothing.
    """

    summary: str
    outputs: tuple[str, ...]
    score: Callable[[Request], dict[str, float]]
    draw: Callable | None = None
    on_tables: bool = True
    needs: str = ""


def _four(prefix: str) -> tuple[str, ...]:
    parts = "disentanglement", "completeness", "informativeness_train", "informativeness_test"
    return tuple(f"{prefix}_{part}" for part in parts)


def _draw_factor(source, preset, rng):
    counts = preset.factor_train_votes, preset.factor_eval_votes, preset.factor_batch, preset.factor_variance_points
    return factor.draw(source, *counts, rng)


def _draw_many(source, preset, rng):
    return {"points": source.split(rng, preset.intervention_points, 2)["points"]}


def _score_dci(request: Request) -> dict[str, float]:
    tables = request.both()
    fitted = dci.importance_matrix(*tables, workers=request.workers, trees=request.preset.dci_trees, seed=request.seed)
    if request.keep is not None:
        request.keep["importance"] = dci.over_all_factors(fitted[0], tables[1])
    return dci.scores(*fitted)


def _score_mig(request: Request) -> dict[str, float]:
    if request.keep is not None:
        request.keep["mutual_information"] = mutual_information_with_factors(*request.table("points"))
    return mig.score(*request.table("points"))


def _score_true_independence(request: Request) -> dict[str, float]:
    def image_error(codes, index):
        rows = np.random.default_rng(request.seed).permutation(len(index))[: request.preset.image_points]
        dataset = request.source.dataset
        errors = reconstruction.squared_error(request.decoder, dataset, codes[rows], index[rows], request.device)
        return float(errors.mean()) / int(np.prod(dataset.batch(index[:1], request.device).shape))

    sizes = request.source.sizes[request.source.varying]
    given = image_error if request.decoder is not None else None
    return true_independence.score(request.codes, request.drawn, sizes, given)


METRICS: dict[str, Metric] = {
    "factor_vae": Metric(
        "FactorVAE score: which latent varies least while one factor is held fixed",
        ("fac_eval", "fac_train", "fac_num_act"),
        lambda request: factor.score(request.codes, request.drawn),
        _draw_factor,
        on_tables=False,
    ),
    "beta_vae": Metric(
        "beta-VAE score: a linear classifier tells from code differences which factor is shared",
        ("hig_acc", "val_hig_acc"),
        lambda request: beta.score(request.codes, request.drawn),
        lambda source, preset, rng: beta.draw(source, preset.beta_points, preset.beta_batch, rng),
        on_tables=False,
    ),
    "mig": Metric(
        "mutual information gap: each factor's information in one latent alone",
        ("discrete_mig", "discrete_mig_all_factors"),
        _score_mig,
    ),
    "dci": Metric(
        "disentanglement, completeness, informativeness, from boosted trees",
        _four("dci"),
        _score_dci,
    ),
    "sap": Metric(
        "separated attribute predictability: each factor linear in one latent alone",
        ("SAP_score",),
        lambda request: sap.score(*request.table("points")),
    ),
    "modularity": Metric(
        "modularity: each latent informed of one factor only",
        ("modularity_score",),
        lambda request: modularity.score(*request.table("points")),
    ),
    "explicitness": Metric(
        "explicitness: a linear classifier reads every value of every factor",
        ("explicitness_score_train", "explicitness_score_test"),
        lambda request: explicitness.score(*request.both()),
    ),
    "unsupervised": Metric(
        "dependence among the latents: Gaussian total correlation, Wasserstein correlation, mutual information",
        (
            "gaussian_total_correlation",
            "gaussian_wasserstein_correlation",
            "gaussian_wasserstein_correlation_norm",
            "mutual_info_score",
        ),
        lambda request: unsupervised.score(request.table("points")[0]),
    ),
    "factor_leakage": Metric(
        "factor leakage: information about a factor outside its best latent",
        factor_leakage.NAMES,
        lambda request: factor_leakage.score(*request.table("points")),
    ),
    "downstream": Metric(
        "downstream: a forest tells from a pair of codes which factor was stepped, and which way",
        ("downstream_rep",),
        lambda request: downstream.score(request.codes, request.drawn, seed=request.seed, workers=request.workers),
        lambda source, preset, rng: steps.draw(source, preset.step_points, rng),
        on_tables=False,
        needs="steps",
    ),
    "true_independence": Metric(
        "true independence: linear representations of the symmetry steps, fitted to the codes",
        ("independence_score", "cyclic_order_error", "symmetry_code_error", "symmetry_image_error"),
        _score_true_independence,
        lambda source, preset, rng: steps.draw_forward(source, preset.step_points, rng),
        on_tables=False,
        needs="steps",
    ),
    "reconstruction": Metric(
        "reconstruction error: squared, summed over pixels",
        ("reconstruction_error",),
        lambda request: reconstruction.score(
            request.decoder, request.source.dataset, request.codes, request.drawn, request.device
        ),
        lambda source, preset, rng: {"points": source.random(rng, (preset.image_points,))},
        needs="decoder",
    ),
    "irs": Metric(
        "interventional robustness: a latent stays put while its factor is fixed",
        ("IRS", "IRS_unweighted"),
        lambda request: irs.score(*request.table("points")),
        _draw_many,
    ),
    "rmig": Metric(
        "RMIG and JEMMIG: MIG on 100 bins, and its joint-entropy form",
        ("RMIG", "JEMMIG"),
        lambda request: rmig.score(*request.table("points")),
        _draw_many,
    ),
    "dci_forest": Metric(
        "DCI from random forests",
        _four("dci_forest"),
        lambda request: dci.score_forest(
            *request.both(), seed=request.seed, trees=request.preset.dci_trees, workers=request.workers
        ),
    ),
    "dci_lasso": Metric(
        "DCI from lasso regression",
        _four("dci_lasso"),
        lambda request: dci.score_lasso(*request.both()),
    ),
}
