"""Metric by name. The one place where a new metric is added."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from metrics import beta, dci, explicitness, factor, mig, modularity, sap, unsupervised
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

    def table(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Codes `[n, d]` and factors `[n, k]` of the drawn points, train or test."""
        return self.codes(self.drawn[split]), self.source.factors(self.drawn[split])

    def both(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Codes and factors of train, then of test."""
        return *self.table("train"), *self.table("test")


@dataclass(frozen=True)
class Metric:
    """One entry of the registry.

    `outputs`: the names logged. `score`: Request -> dict of them. `draw`: (source, preset, rng) -> named index
    arrays; None for the metrics that share one draw of points, train and test.
    """

    summary: str
    outputs: tuple[str, ...]
    score: Callable[[Request], dict[str, float]]
    draw: Callable | None = None


def _draw_factor(source, preset, rng):
    counts = preset.factor_train_votes, preset.factor_eval_votes, preset.factor_batch, preset.factor_variance_points
    return factor.draw(source, *counts, rng)


METRICS: dict[str, Metric] = {
    "factor_vae": Metric(
        "FactorVAE score: which latent varies least while one factor is held fixed",
        ("fac_eval", "fac_train", "fac_num_act"),
        lambda request: factor.score(request.codes, request.drawn),
        _draw_factor,
    ),
    "beta_vae": Metric(
        "beta-VAE score: a linear classifier tells from code differences which factor is shared",
        ("hig_acc", "val_hig_acc"),
        lambda request: beta.score(request.codes, request.drawn),
        lambda source, preset, rng: beta.draw(source, preset.beta_points, preset.beta_batch, rng),
    ),
    "mig": Metric(
        "mutual information gap: each factor's information in one latent alone",
        ("discrete_mig", "discrete_mig_all_factors"),
        lambda request: mig.score(*request.table("points")),
    ),
    "dci": Metric(
        "disentanglement, completeness, informativeness, from boosted trees",
        ("dci_disentanglement", "dci_completeness", "dci_informativeness_train", "dci_informativeness_test"),
        lambda request: dci.score(
            *request.both(), seed=request.seed, trees=request.preset.dci_trees, workers=request.workers
        ),
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
}
