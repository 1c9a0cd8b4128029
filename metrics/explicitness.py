"""Explicitness: can a linear classifier predict every value of every factor from the code?"""

from __future__ import annotations

import numpy as np

from metrics.factors import varying
from metrics.inputs import standardised
from metrics.metric import INFORMATION, Metric, Score

SOLVER = {"tol": 1e-9, "max_iter": 10_000}  # L-BFGS; 20 to 120 iterations on the reference tables


def _mean_auc(probabilities: np.ndarray, classes: np.ndarray, factor: np.ndarray) -> float:
    """Mean one-against-rest AUC over the classes that occur but do not fill the set; 0.5 if there are none."""
    from sklearn.metrics import roc_auc_score

    own = factor[:, None] == classes  # [n, classes]
    some = own.any(axis=0) & ~own.all(axis=0)
    return float(roc_auc_score(own[:, some], probabilities[:, some])) if some.any() else 0.5


def score(
    train_representations: np.ndarray,
    train_factors: np.ndarray,
    test_representations: np.ndarray,
    test_factors: np.ndarray,
) -> dict[str, float]:
    """How well does a linear (softmax) classifier per factor predict the factor's values?

    1. Standardise every latent with the mean and deviation of the training set (constant latents become 0).
    2. Per factor: logistic regression (multinomial, L2 with C = 1) on the training set.
    3. Per value of the factor: ROC AUC of that value's probability against the rest; mean over the values.
    4. Mean over the factors that vary; on the training and on the test set.

    Range [0, 1]; ideal 1; an uninformative code 0.5 on the test set (a little more on the training set).
    Invariant to scale and offset of each latent, and to dead latents.

    Source: Ridgeway & Mozer 2018, section 3. Convention: the AUC itself, not rescaled to (AUC - 0.5) / 0.5, as the
    reference logs it. Values missing in a set are left out of its mean.

    The regression is convex with one optimum, and solved in float64 to the tolerance of SOLVER: the scores of different
    processors agree to about 1e-6 (one pair of samples in another order). The reference stops its solver in float32 at
    a tolerance of 1e-4, where the score is up to 6e-5 away from the optimum, depending on the machine: its values are
    reproduced to 1e-4.
    """
    from sklearn.linear_model import LogisticRegression

    train, test = standardised(train_representations, test_representations)  # [n, d] each
    train_areas, test_areas = [], []
    for k in varying(train_factors):
        classes, labels = np.unique(train_factors[:, k], return_inverse=True)
        classifier = LogisticRegression(**SOLVER).fit(train, labels)
        train_areas.append(_mean_auc(classifier.predict_proba(train), classes, train_factors[:, k]))
        test_areas.append(_mean_auc(classifier.predict_proba(test), classes, test_factors[:, k]))
    return {
        "explicitness_score_train": float(np.mean(train_areas)) if train_areas else 0.5,
        "explicitness_score_test": float(np.mean(test_areas)) if test_areas else 0.5,
    }


METRIC = Metric(
    "explicitness",
    "explicitness: a linear classifier predicts every value of every factor",
    INFORMATION,
    (
        Score(
            "explicitness_score_train",
            "explicitness, training points",
            "can a linear classifier predict the values? guessing gives 0.5",
        ),
        Score(
            "explicitness_score_test",
            "explicitness",
            "the same on fresh points",
            column="explicit",
            place=9,
            on_screen=True,
        ),
    ),
    lambda request: score(*request.both()),
)
