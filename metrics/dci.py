"""Disentanglement, completeness, informativeness: from the importances of latents in predicting factors."""

from __future__ import annotations

import os

import numpy as np

from metrics.inputs import varying

SMALLEST = 1e-11


def _normalised_entropy(weights: np.ndarray) -> np.ndarray:
    """Weights `[rows, columns]`, non-negative -> entropy of each column's distribution over rows, in [0, 1]."""
    shares = (weights + SMALLEST) / (weights + SMALLEST).sum(0)  # [rows, columns]
    if len(shares) == 1:
        return np.zeros(shares.shape[1])
    return -(shares * np.log(shares)).sum(0) / np.log(len(shares))


def disentanglement(importance: np.ndarray) -> float:
    """Importances `[d, k]` -> mean over latents, weighted by their total importance, of 1 - entropy over factors."""
    total = importance.sum()
    if total == 0:
        return 0.0
    return float(((1 - _normalised_entropy(importance.T)) * importance.sum(1)).sum() / total)


def completeness(importance: np.ndarray) -> float:
    """Importances `[d, k]` -> mean over factors, weighted by their total importance, of 1 - entropy over latents."""
    total = importance.sum()
    if total == 0:
        return 0.0
    return float(((1 - _normalised_entropy(importance)) * importance.sum(0)).sum() / total)


def _fit_boosted_trees(train, labels, test, test_labels, trees: int, seed: int):
    """One factor: importances `[d]`, training accuracy, test accuracy."""
    from sklearn.ensemble import GradientBoostingClassifier

    model = GradientBoostingClassifier(n_estimators=trees, random_state=seed).fit(train, labels)
    accuracy = (model.predict(train) == labels).mean(), (model.predict(test) == test_labels).mean()
    return model.feature_importances_, *accuracy


def workers_available() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def importance_matrix(train, train_factors, test, test_factors, *, fit=_fit_boosted_trees, workers=None, **settings):
    """Fits one predictor per varying factor, the costliest first, in `workers` processes (None: one per core).

    Returns importances `[d, varying k]`, training accuracies `[varying k]`, test accuracies `[varying k]`. Every
    fit has its own seed, so the number of workers changes nothing.
    """
    from joblib import Parallel, delayed

    some = varying(train_factors)
    if not len(some):
        return np.zeros((train.shape[1], 0)), np.ones(0), np.ones(0)
    by_cost = sorted(some, key=lambda k: -len(np.unique(train_factors[:, k])))
    workers = min(workers or workers_available(), len(some))
    fitted = Parallel(n_jobs=workers)(
        delayed(fit)(train, train_factors[:, k], test, test_factors[:, k], **settings) for k in by_cost
    )
    results = dict(zip(by_cost, fitted, strict=True))
    importances, train_accuracy, test_accuracy = zip(*(results[k] for k in some), strict=True)
    return np.abs(np.stack(importances, axis=1)), np.array(train_accuracy), np.array(test_accuracy)


def scores(
    importance: np.ndarray, train_accuracy: np.ndarray, test_accuracy: np.ndarray, prefix="dci"
) -> dict[str, float]:
    """Importances and accuracies -> the four named values. Without any varying factor prediction is perfect and
    means nothing.
    """
    return {
        f"{prefix}_disentanglement": disentanglement(importance),
        f"{prefix}_completeness": completeness(importance),
        f"{prefix}_informativeness_train": float(train_accuracy.mean()) if len(train_accuracy) else 1.0,
        f"{prefix}_informativeness_test": float(test_accuracy.mean()) if len(test_accuracy) else 1.0,
    }


def score(
    train_representations: np.ndarray,
    train_factors: np.ndarray,
    test_representations: np.ndarray,
    test_factors: np.ndarray,
    *,
    seed: int = 0,
    trees: int = 100,
    workers: int | None = None,
) -> dict[str, float]:
    """Does each latent predict one factor only (D), is each factor predicted by one latent only (C), and how well (I)?

    1. Per factor that varies: gradient-boosted trees (scikit-learn defaults: 100 rounds, depth 3, one tree per
       class and round) predict its value from the code.
    2. Importance of latent i for factor k: the trees' total impurity decrease by latent i, normalised over latents:
       R `[d, k]`.
    3. Disentanglement: per latent 1 - entropy of R[i, :] over factors (base k); mean weighted by the latent's total
       importance.
    4. Completeness: per factor 1 - entropy of R[:, k] over latents (base d); mean weighted likewise.
    5. Informativeness: mean accuracy on the training and on the test set.

    Range [0, 1] each; ideal 1; a useless code: D and C about 0, test accuracy that of guessing (training accuracy
    stays high: trees memorise noise). Constant factors are left out; with none left D = C = 0 and I = 1.

    Source: Eastwood & Williams 2018, with the trees of Locatello et al. 2019. Convention: accuracy, not error;
    unnormalised.
    """
    fitted = importance_matrix(
        train_representations,
        train_factors,
        test_representations,
        test_factors,
        workers=workers,
        trees=trees,
        seed=seed,
    )
    return scores(*fitted)
