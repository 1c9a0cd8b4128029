"""DCI: disentanglement, completeness and informativeness, from the importances of latents in predicting factors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from metrics.factors import labels_like, varying
from metrics.inputs import for_trees
from metrics.metric import INFORMATION, ONE_FACTOR, Metric, Request, Score

SMALLEST = 1e-11
ROUNDING = 1e-12  # of the impurity; trees whose gain is less have learned nothing
WORK_WORTH_PROCESSES = 2_000_000  # samples times trees


def disentanglement(importance: np.ndarray) -> float:
    """Importances `[d, k]` -> mean over latents, weighted by their total importance, of 1 - entropy over factors."""
    total = importance.sum()
    if total == 0:
        return 0.0
    shares = (importance + SMALLEST) / (importance + SMALLEST).sum(1, keepdims=True)  # [d, k]
    entropy = -(shares * np.log(shares)).sum(1) / np.log(max(shares.shape[1], 2))  # [d], in [0, 1]
    return float(((1 - entropy) * importance.sum(1)).sum() / total)


def completeness(importance: np.ndarray) -> float:
    """Importances `[d, k]` -> mean over factors, weighted by their total importance, of 1 - entropy over latents."""
    return disentanglement(importance.T)


def _fit(classifier, train, labels, test, test_labels) -> tuple[np.ndarray, float, float]:
    """Fit the classifier to one factor. Returns importances `[d]`, training accuracy, test accuracy."""
    from sklearn import config_context

    with config_context(skip_parameter_validation=True):  # otherwise repeated for each of thousands of trees
        classifier.fit(train, labels)
    accuracy = (classifier.predict(train) == labels).mean(), (classifier.predict(test) == test_labels).mean()
    return _importances(classifier), *accuracy


def _importances(classifier) -> np.ndarray:
    """The normalised impurity decreases by latent, `[d]`; 0 if they are rounding errors, as for independent factors."""
    trees = (tree.tree_ for tree in np.ravel(classifier.estimators_))
    learned = any(t.compute_feature_importances(normalize=False).sum() > ROUNDING * t.impurity[0] for t in trees)
    return classifier.feature_importances_ if learned else np.zeros(classifier.n_features_in_)


Fitted = tuple[np.ndarray, np.ndarray, np.ndarray]


def fit_trees(classifier, train, train_factors, test, test_factors, *, workers=None) -> Callable[[], Fitted]:
    """Start fitting the classifier to each varying factor, in parallel processes.

    Few trees are fitted in this process instead, when the result is asked for: starting processes would take longer.
    Every fit has its own random numbers, so results do not depend on the number of workers.

    Args:
        classifier: trees of scikit-learn, with `n_estimators` and an integer `random_state`.
        train, test: codes `[n, d]`.
        train_factors, test_factors: factors `[n, k]`.
        workers: number of processes; None: one per core.

    Returns: a function that waits for the importances `[d, varying k]`, the training accuracies `[varying k]` and the
        test accuracies `[varying k]`. The processes end if the function is deleted.
    """
    from joblib import Parallel, cpu_count, delayed

    some = varying(train_factors)
    importance = np.zeros((train.shape[1], len(some)))  # [d, varying k]
    if not len(some):
        return lambda: (importance, np.ones(0), np.ones(0))
    z, z_test, kept = for_trees(train, test)  # [n, active] each, [active]
    classes = {k: labels_like(train_factors[:, k], test_factors[:, k]) for k in some}  # [n] each
    sizes = {k: int(found.max()) + 1 for k, (found, _) in classes.items()}
    work = len(z) * classifier.n_estimators * sum(sizes.values())
    workers = min(workers or cpu_count(), len(some)) if work > WORK_WORTH_PROCESSES else 1
    by_cost = sorted(some, key=lambda k: -sizes[k])
    fitted = Parallel(n_jobs=workers, return_as="generator")(
        delayed(_fit)(classifier, z, classes[k][0], z_test, classes[k][1]) for k in by_cost
    )

    def wait() -> Fitted:
        results = dict(zip(by_cost, fitted, strict=True))
        importances, train_accuracy, test_accuracy = zip(*(results[k] for k in some), strict=True)
        importance[kept] = np.stack(importances, axis=1)
        return importance, np.array(train_accuracy), np.array(test_accuracy)

    return wait


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
       latents: R `[d, k]`, 0 for a factor about which the trees learn nothing.
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
    from sklearn.ensemble import GradientBoostingClassifier

    classifier = GradientBoostingClassifier(n_estimators=request.preset.dci_trees, random_state=request.seed)
    tables = request.both()
    trees = fit_trees(classifier, *tables, workers=request.workers)

    def wait() -> dict[str, Any]:
        importance, *accuracies = trees()
        matrix = np.zeros((len(importance), tables[1].shape[1]))  # [d, k], 0 for constant factors
        matrix[:, varying(tables[1])] = importance
        return scores("dci", importance, *accuracies) | {"importance": matrix}

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
