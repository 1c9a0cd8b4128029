"""DCI from lasso regression."""

from __future__ import annotations

import numpy as np

from metrics.dci import scores
from metrics.factors import varying
from metrics.inputs import standardised
from metrics.metric import INFORMATION, ONE_FACTOR, Metric, Score

ALPHA = 0.02


def _explained(target: np.ndarray, predicted: np.ndarray) -> float:
    """R^2, not below 0: both `[n]`; 1 of a constant target that is met, else 0."""
    variance, error = target.var(), ((target - predicted) ** 2).mean()
    return max(0.0, 1.0 - error / variance) if variance > 0 else float(error == 0)


def score(
    train_representations: np.ndarray,
    train_factors: np.ndarray,
    test_representations: np.ndarray,
    test_factors: np.ndarray,
) -> dict[str, float]:
    """DCI as in `metrics.dci`, with the absolute weights of a lasso (alpha 0.02) from standardised codes to each
    standardised factor, taken as a number.

    Informativeness is R^2, not below 0 (ideal 1, useless 0; D and C are then shares of noise and mean nothing).
    Linear only: a code that holds a factor on a circle or in classes scores low here and may be ideal for trees.
    Invariant to scale and offset of each latent. Source: Eastwood & Williams 2018. Convention: a fixed alpha in place
    of cross-validation, R^2 in place of their normalised root mean squared error.
    """
    from sklearn.linear_model import Lasso

    some = varying(train_factors)
    train, test = standardised(train_representations, test_representations)  # [n, d] each
    weights, fits = np.zeros((train.shape[1], len(some))), np.zeros((2, len(some)))  # [d, varying k], [2, varying k]
    if len(some):
        targets, test_targets = standardised(train_factors[:, some], test_factors[:, some])  # [n, varying k] each
    for k in range(len(some)):
        model = Lasso(alpha=ALPHA, max_iter=20_000).fit(train, targets[:, k])
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
    (
        Score(
            "dci_lasso_disentanglement",
            "DCI disentanglement, lasso",
            "DCI from a linear model; meaningless where informativeness is about 0",
            least_factors=2,
        ),
        Score(
            "dci_lasso_completeness",
            "DCI completeness, lasso",
            "the same; of two equal copies the lasso may take one",
        ),
        Score(
            "dci_lasso_informativeness_train",
            "DCI informativeness, lasso, training points",
            "R^2 of the lasso: linear content only",
            question=INFORMATION,
        ),
        Score(
            "dci_lasso_informativeness_test",
            "DCI informativeness, lasso",
            "the same on fresh points",
            question=INFORMATION,
        ),
    ),
    lambda request: score(*request.both()),
)
