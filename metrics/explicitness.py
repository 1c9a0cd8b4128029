"""Explicitness: can a linear classifier predict every value of every factor from the code?"""

from __future__ import annotations

import numpy as np

from metrics.checks import halves, standardised, takes_tables, varying


def _mean_auc(probabilities: np.ndarray, classes: np.ndarray, factor: np.ndarray) -> float:
    """Mean one-against-rest AUC over the classes that occur but do not fill the set; 0.5 if there are none."""
    from sklearn.metrics import roc_auc_score

    own = factor[:, None] == classes  # [n, classes]
    some = own.any(axis=0) & ~own.all(axis=0)
    return float(roc_auc_score(own[:, some], probabilities[:, some])) if some.any() else 0.5


@takes_tables
def explicitness(
    codes, factors, codes_test=None, factors_test=None, *, tol: float = 1e-9, max_iter: int = 10_000, random_state=0
) -> dict[str, float]:
    """How well does a linear (softmax) classifier per factor predict the factor's values?

    1. Standardise every latent with the mean and deviation of the training set (constant latents become 0).
    2. Per factor: logistic regression (multinomial, L2 with C = 1) on the training set.
    3. Per value of the factor: ROC AUC of that value's probability against the rest; mean over the values.
    4. Mean over the factors that vary; on the training and on the test set.

    Range [0, 1]; ideal 1; an uninformative code 0.5 on the test set (a little more on the training set).
    Invariant to scale and offset of each latent, and to dead latents.

    Without a test set, a random half of the rows is one (`random_state`).

    Source: Ridgeway & Mozer 2018, section 3. Convention: the AUC itself, not rescaled to (AUC - 0.5) / 0.5, as the
    reference logs it. Values missing in a set are left out of its mean.

    The regression is convex with one optimum, and solved in float64 to the tolerance `tol`: the scores of different
    processors agree to about 1e-6 (one pair of samples in another order). The reference stops its solver in float32 at
    a tolerance of 1e-4, where the score is up to 6e-5 away from the optimum, depending on the machine: its values are
    reproduced to 1e-4.

    Example:
        >>> factors = np.random.default_rng(0).integers(0, 4, (1000, 2))
        >>> round(explicitness(factors, factors)["explicitness_score_test"], 1)
        1.0
    """
    from sklearn.linear_model import LogisticRegression

    if codes_test is None:
        codes, factors, codes_test, factors_test = halves(codes, factors, random_state=random_state)
    train, test = standardised(codes, codes_test)  # [n, d] each
    train_areas, test_areas = [], []
    for k in varying(factors):
        classes, labels = np.unique(factors[:, k], return_inverse=True)
        classifier = LogisticRegression(tol=tol, max_iter=max_iter).fit(train, labels)
        train_areas.append(_mean_auc(classifier.predict_proba(train), classes, factors[:, k]))
        test_areas.append(_mean_auc(classifier.predict_proba(test), classes, factors_test[:, k]))
    return {
        "explicitness_score_train": float(np.mean(train_areas)) if train_areas else 0.5,
        "explicitness_score_test": float(np.mean(test_areas)) if test_areas else 0.5,
    }
