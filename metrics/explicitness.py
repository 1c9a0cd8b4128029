"""Explicitness: can a linear classifier read every value of every factor from the code?"""

from __future__ import annotations

import warnings

import numpy as np

from metrics.inputs import varying


def _roc_auc(present: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve by ranks: bool `[n]`, float `[n]` -> chance that a present case outranks an absent
    one.
    """
    from scipy.stats import rankdata

    positives = int(present.sum())
    ranks = rankdata(scores)[present]  # [positives], ties share their mean rank
    return float((ranks.sum() - positives * (positives + 1) / 2) / (positives * (len(present) - positives)))


def _mean_auc(probabilities: np.ndarray, classes: np.ndarray, factor: np.ndarray) -> float:
    """Mean one-against-rest AUC over the classes that occur and do not fill the set; 0.5 when there is none."""
    areas = [
        _roc_auc(factor == value, probabilities[:, column])
        for column, value in enumerate(classes)
        if 0 < (factor == value).sum() < len(factor)
    ]
    return float(np.mean(areas)) if areas else 0.5


def score(
    train_representations: np.ndarray,
    train_factors: np.ndarray,
    test_representations: np.ndarray,
    test_factors: np.ndarray,
) -> dict[str, float]:
    """How well does one linear (softmax) classifier per factor tell the factor's values apart?

    1. Standardise every latent with the mean and deviation of the training set (constant latents become 0).
    2. Per factor: logistic regression (multinomial, L2 with C = 1) on the training set.
    3. Per value of the factor: ROC AUC of that value's probability against the rest; mean over the values.
    4. Mean over the factors that vary; on the training and on the test set.

    Range [0, 1]; ideal 1; a useless code 0.5 on the test set (a little more on the training set, which was fitted).

    Source: Ridgeway & Mozer 2018, section 3. Convention: the AUC itself, not rescaled to (AUC - 0.5) / 0.5, as the
    reference logs it. Values that a set lacks are left out of that set's mean.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    mean, deviation = train_representations.mean(0), train_representations.std(0)  # [d], [d]
    deviation = np.where(deviation > 0, deviation, 1.0)
    train = (train_representations - mean) / deviation  # [n, d]
    test = (test_representations - mean) / deviation
    train_areas, test_areas = [], []
    for k in varying(train_factors):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the reference stops at 100 iterations, too
            classifier = LogisticRegression().fit(train, np.unique(train_factors[:, k], return_inverse=True)[1])
        classes = np.unique(train_factors[:, k])
        train_areas.append(_mean_auc(classifier.predict_proba(train), classes, train_factors[:, k]))
        test_areas.append(_mean_auc(classifier.predict_proba(test), classes, test_factors[:, k]))
    return {
        "explicitness_score_train": float(np.mean(train_areas)) if train_areas else 0.5,
        "explicitness_score_test": float(np.mean(test_areas)) if test_areas else 0.5,
    }
