"""Disentanglement, completeness, informativeness: from the importances of latents in predicting factors."""

from __future__ import annotations

import os

import numpy as np

from metrics.inputs import varying

SMALLEST = 1e-11
LASSO_ALPHA = 0.02
WORK_WORTH_PROCESSES = 2_000_000  # samples times trees


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


def _fit_forest(train, labels, test, test_labels, trees: int, seed: int):
    """As `_fit_boosted_trees`, with a random forest whose trees may split on every latent."""
    from sklearn.ensemble import RandomForestClassifier

    model = RandomForestClassifier(trees, max_features=None, random_state=seed).fit(train, labels)
    accuracy = (model.predict(train) == labels).mean(), (model.predict(test) == test_labels).mean()
    return model.feature_importances_, *accuracy


def _fit_lasso(train, values, test, test_values):
    """One factor, as a number: absolute lasso weights `[d]` and R^2 (not below 0) on the training and the test set."""
    from sklearn.linear_model import Lasso

    mean, deviation = values.mean(), values.std()
    model = Lasso(alpha=LASSO_ALPHA, max_iter=20_000).fit(train, (values - mean) / deviation)
    fits = []
    for codes, target in ((train, values), (test, test_values)):
        residual = (target - mean) / deviation - model.predict(codes)
        fits.append(max(0.0, 1.0 - float((residual**2).mean()) / max(float((target / deviation).var()), SMALLEST)))
    return np.abs(model.coef_), *fits


def workers_available() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def importance_matrix(train, train_factors, test, test_factors, *, fit=_fit_boosted_trees, workers=None, **settings):
    """Fits one predictor per varying factor, the costliest first, in `workers` processes (None: one per core).

    Returns importances `[d, varying k]`, training accuracies `[varying k]`, test accuracies `[varying k]`. Every
    fit has its own seed, so the number of workers changes nothing; few trees are fitted in this process, since
    starting others takes longer.
    """
    from joblib import Parallel, delayed

    some = varying(train_factors)
    if not len(some):
        return np.zeros((train.shape[1], 0)), np.ones(0), np.ones(0)
    classes = {k: len(np.unique(train_factors[:, k])) for k in some}
    work = len(train) * settings.get("trees", 0) * sum(classes.values())
    workers = min(workers or workers_available(), len(some)) if work > WORK_WORTH_PROCESSES else 1
    by_cost = sorted(some, key=lambda k: -classes[k])
    fitted = Parallel(n_jobs=workers)(
        delayed(fit)(train, train_factors[:, k], test, test_factors[:, k], **settings) for k in by_cost
    )
    results = dict(zip(by_cost, fitted, strict=True))
    importances, train_accuracy, test_accuracy = zip(*(results[k] for k in some), strict=True)
    return np.abs(np.stack(importances, axis=1)), np.array(train_accuracy), np.array(test_accuracy)


def over_all_factors(importance: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Importances of the varying factors `[d, varying k]` -> `[d, k]`, 0 for constant factors."""
    matrix = np.zeros((len(importance), factors.shape[1]))
    matrix[:, varying(factors)] = importance
    return matrix


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
    tables = train_representations, train_factors, test_representations, test_factors
    return scores(*importance_matrix(*tables, workers=workers, trees=trees, seed=seed))


def score_forest(
    train_representations: np.ndarray,
    train_factors: np.ndarray,
    test_representations: np.ndarray,
    test_factors: np.ndarray,
    *,
    seed: int = 0,
    trees: int = 100,
    workers: int | None = None,
) -> dict[str, float]:
    """DCI as in `score`, with importances and accuracies of random forests (100 full trees, bagged, every latent a
    candidate at every
    split: with scikit-learn's default of a random few, even an ideal code spreads its importance).

    Forests spread importance over correlated latents more than boosting does, so D and C come out lower; they are
    far faster. Ideal 1; a useless code: D and C about 0. Source: Eastwood & Williams 2018, who used forests beside
    the lasso; there the depth is tuned and the factors are regressed, here they are classes.
    """
    tables = train_representations, train_factors, test_representations, test_factors
    return scores(
        *importance_matrix(*tables, fit=_fit_forest, workers=workers, trees=trees, seed=seed), prefix="dci_forest"
    )


def score_lasso(
    train_representations: np.ndarray,
    train_factors: np.ndarray,
    test_representations: np.ndarray,
    test_factors: np.ndarray,
) -> dict[str, float]:
    """DCI as in `score`, with the absolute weights of a lasso (alpha 0.02) from standardised codes to each
    standardised factor.

    Informativeness is R^2, not below 0 (ideal 1, useless 0; D and C are then shares of noise and mean nothing).
    Linear only: a code that holds a factor on a circle or in classes scores low here and may be ideal for trees.
    Source: Eastwood & Williams 2018. Convention: a fixed alpha in place of cross-validation, R^2 in place of their
    normalised root mean squared error.
    """
    mean, deviation = train_representations.mean(0), train_representations.std(0)  # [d], [d]
    deviation = np.where(deviation > 0, deviation, 1.0)
    train, test = (train_representations - mean) / deviation, (test_representations - mean) / deviation
    fitted = importance_matrix(train, train_factors, test, test_factors, fit=_fit_lasso, workers=1)
    return scores(*fitted, prefix="dci_lasso")
