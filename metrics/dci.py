"""DCI: disentanglement, completeness and informativeness, from the importances of latents in predicting factors."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from metrics.factors import labels_like, varying
from metrics.inputs import for_trees
from metrics.metric import INFORMATION, ONE_FACTOR, Metric, Request, Score

SMALLEST = 1e-11
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
    """Fit one factor. Returns importances `[d]`, training accuracy, test accuracy."""
    from sklearn import config_context
    from sklearn.ensemble import GradientBoostingClassifier

    with config_context(skip_parameter_validation=True):  # otherwise repeated for each of thousands of trees
        model = GradientBoostingClassifier(n_estimators=trees, random_state=seed).fit(train, labels)
    accuracy = (model.predict(train) == labels).mean(), (model.predict(test) == test_labels).mean()
    return model.feature_importances_, *accuracy


def workers_available() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


Fitted = tuple[np.ndarray, np.ndarray, np.ndarray]


def fit_trees(
    train, train_factors, test, test_factors, *, fit=_fit_boosted_trees, workers=None, trees=100, seed=0
) -> Callable[[], Fitted]:
    """Start fitting one classifier per varying factor, in parallel processes.

    Few trees are fitted in this process instead, when the result is asked for: starting processes would take longer.
    Every fit has its own seed, so results do not depend on the number of workers.

    Args:
        train, test: codes `[n, d]`.
        train_factors, test_factors: factors `[n, k]`.
        fit: (train, labels, test, test labels, trees, seed) -> importances, training accuracy, test accuracy.
        workers: number of processes; None: one per core.

    Returns: a function that waits for the importances `[d, varying k]`, the training accuracies `[varying k]` and the
        test accuracies `[varying k]`. The processes end if the function is deleted.
    """
    from joblib import Parallel, delayed

    some = varying(train_factors)
    importance = np.zeros((train.shape[1], len(some)))  # [d, varying k]
    if not len(some):
        return lambda: (importance, np.ones(0), np.ones(0))
    z, z_test, kept = for_trees(train, test)  # [n, active] each, [active]
    classes = {k: labels_like(train_factors[:, k], test_factors[:, k]) for k in some}  # [n] each
    sizes = {k: int(found.max()) + 1 for k, (found, _) in classes.items()}
    work = len(z) * trees * sum(sizes.values())
    workers = min(workers or workers_available(), len(some)) if work > WORK_WORTH_PROCESSES else 1
    by_cost = sorted(some, key=lambda k: -sizes[k])
    fitted = Parallel(n_jobs=workers, return_as="generator")(
        delayed(fit)(z, classes[k][0], z_test, classes[k][1], trees=trees, seed=seed) for k in by_cost
    )

    def wait() -> Fitted:
        results = dict(zip(by_cost, fitted, strict=True))
        importances, train_accuracy, test_accuracy = zip(*(results[k] for k in some), strict=True)
        importance[kept] = np.stack(importances, axis=1)
        return importance, np.array(train_accuracy), np.array(test_accuracy)

    return wait


def over_all_factors(importance: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Importances of the varying factors `[d, varying k]` -> `[d, k]`, 0 for constant factors."""
    matrix = np.zeros((len(importance), factors.shape[1]))
    matrix[:, varying(factors)] = importance
    return matrix


def scores(
    prefix: str, importance: np.ndarray, train_accuracy: np.ndarray, test_accuracy: np.ndarray
) -> dict[str, float]:
    """The four scores `<prefix>_...`, from importances and accuracies. Without varying factors, accuracies are 1."""
    return {
        f"{prefix}_disentanglement": disentanglement(importance),
        f"{prefix}_completeness": completeness(importance),
        f"{prefix}_informativeness_train": float(train_accuracy.mean()) if len(train_accuracy) else 1.0,
        f"{prefix}_informativeness_test": float(test_accuracy.mean()) if len(test_accuracy) else 1.0,
    }


def score(request: Request) -> Callable[[], dict[str, Any]]:
    """Does each latent predict one factor only (D), is each factor predicted by one latent only (C), and how well (I)?

    1. Per varying factor: gradient-boosted trees (scikit-learn defaults: 100 rounds, depth 3, one tree per class and
       round) predict its value from the code.
    2. Importance of latent i for factor k: the total impurity decrease of the trees by latent i, normalised over
       latents: R `[d, k]`.
    3. Disentanglement: per latent 1 - entropy of R[i, :] over factors (base k); mean weighted by the latent's total
       importance.
    4. Completeness: per factor 1 - entropy of R[:, k] over latents (base d); mean weighted likewise.
    5. Informativeness: mean accuracy on the training and on the test set.

    Range [0, 1] each; ideal 1; an uninformative code: D and C about 0, test accuracy that of guessing (training
    accuracy stays high, since trees overfit). Constant factors are left out; with none left D = C = 0 and I = 1.
    Invariant to scale and offset of each latent. Dead latents increase the base d of the completeness, and so the
    completeness.

    Source: Eastwood & Williams 2018, with the trees of Locatello et al. 2019. Convention: informativeness is an
    accuracy, not an error.
    """
    tables = request.both()
    trees = fit_trees(*tables, workers=request.workers, trees=request.preset.dci_trees, seed=request.seed)

    def wait() -> dict[str, Any]:
        fitted = trees()
        return scores("dci", *fitted) | {"importance": over_all_factors(fitted[0], tables[1])}

    return wait


METRIC = Metric(
    "dci",
    "disentanglement, completeness, informativeness, from boosted trees",
    ONE_FACTOR,
    (
        Score(
            "dci_disentanglement",
            "DCI disentanglement",
            "is each latent important for one factor only? copies do not lower it",
            column="dci_dis",
            place=6,
            headline=5,
            least_factors=2,
        ),
        Score(
            "dci_completeness",
            "DCI completeness",
            "is each factor represented by one latent only? copies lower it",
            column="dci_comp",
            place=7,
            on_screen=True,
        ),
        Score(
            "dci_informativeness_train",
            "DCI informativeness, training points",
            "trees overfit: not meaningful on its own",
            question=INFORMATION,
        ),
        Score(
            "dci_informativeness_test",
            "DCI informativeness",
            "how well the factors can be predicted; guessing gives the mean of 1 / size",
            question=INFORMATION,
            column="dci_info",
            place=5,
        ),
    ),
    score,
)
