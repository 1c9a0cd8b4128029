"""DCI from lasso regression."""

from __future__ import annotations

import warnings

import numpy as np

from metrics.dci import declared, scores
from metrics.factors import varying
from metrics.inputs import standardised
from metrics.metric import ONE_FACTOR, Metric

ALPHA = 0.02
SOLVER = {"tol": 1e-8, "max_iter": 20_000}  # coordinate descent; of nearly equal latents it may stop at max_iter


def fit_lasso(alpha: float, codes: np.ndarray, targets: np.ndarray, precompute: bool = False):
    """A lasso from codes `[n, d]` to targets `[n]` or `[n, k]`: fitted to the tolerance of SOLVER, silently."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import Lasso

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return Lasso(alpha=alpha, precompute=precompute, **SOLVER).fit(codes, targets)


def _explained(target: np.ndarray, predicted: np.ndarray) -> float:
    """R^2 of predictions `[n]` for targets `[n]`, at least 0. A constant target gives 1 if met exactly, else 0."""
    variance, error = target.var(), ((target - predicted) ** 2).mean()
    return max(0.0, 1.0 - error / variance) if variance > 0 else float(error == 0)


def score(
    train_representations: np.ndarray,
    train_factors: np.ndarray,
    test_representations: np.ndarray,
    test_factors: np.ndarray,
) -> dict[str, float]:
    """DCI as in `metrics.dci`, with the absolute weights of a lasso as importances.

    The lasso (alpha 0.02) predicts each standardised factor, taken as a number, from the standardised codes.
    Informativeness is R^2, at least 0: ideal 1, an uninformative code 0, for which D and C are meaningless. Only linear
    relations count: a code that represents a factor on a circle or by clusters scores low, and may be ideal for trees.
    Invariant to scale and offset of each latent.

    Source: Eastwood & Williams 2018. Convention: a fixed alpha instead of cross-validation, R^2 instead of their
    normalised root mean squared error. Solved to the tolerance of SOLVER: at scikit-learn's 1e-4, D and C were
    about 1e-3 away from those of the optimum, and changed with the order of the latents.
    """
    some = varying(train_factors)
    train, test = standardised(train_representations, test_representations)  # [n, d] each
    weights, fits = np.zeros((train.shape[1], len(some))), np.zeros((2, len(some)))  # [d, varying k], [2, varying k]
    targets, test_targets = standardised(train_factors[:, some], test_factors[:, some])  # [n, varying k] each
    for k in range(len(some)):
        model = fit_lasso(ALPHA, train, targets[:, k])
        weights[:, k] = np.abs(model.coef_)
        fits[:, k] = (
            _explained(targets[:, k], model.predict(train)),
            _explained(test_targets[:, k], model.predict(test)),
        )
    return scores("dci_lasso", weights, *fits)


METRIC = Metric(
    "dci_lasso",
    "DCI from lasso regression",
    ONE_FACTOR,
    declared(
        "dci_lasso",
        "lasso",
        "DCI from a linear model; meaningless if informativeness is about 0",
        "the same; of two equal copies the lasso may select one",
        "R^2 of the lasso: linear content only",
        "the same on fresh points",
    ),
    lambda request: score(*request.both()),
)
