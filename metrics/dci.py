"""DCI: disentanglement, completeness and informativeness, from the importances of latents in predicting factors."""

from __future__ import annotations

import numpy as np

from metrics.checks import for_trees, halves, labels_like, takes_tables, varying

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


def fit_trees(
    codes: np.ndarray,
    factors: np.ndarray,
    codes_test: np.ndarray,
    factors_test: np.ndarray,
    *,
    trees: int = 100,
    random_state: int = 0,
    workers: int | None = None,
    worth_processes: int = WORK_WORTH_PROCESSES,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit boosted trees to each varying factor, in parallel processes if the work is worth starting them.

    Every fit has its own random numbers, so results do not depend on the number of workers (None: one per core).

    Returns: importances `[d, varying k]`; accuracies `[varying k]` on training and on test set.
    """
    from joblib import Parallel, cpu_count, delayed
    from sklearn.ensemble import GradientBoostingClassifier

    some = varying(factors)
    importance = np.zeros((codes.shape[1], len(some)))  # [d, varying k]
    if not len(some):
        return importance, np.ones(0), np.ones(0)
    z, z_test, kept = for_trees(codes, codes_test)  # [n, active] each, [active]
    classes = {k: labels_like(factors[:, k], factors_test[:, k]) for k in some}  # [n] each
    by_cost = sorted(some, key=lambda k: -classes[k][0].max())
    work = len(z) * trees * sum(int(classes[k][0].max()) + 1 for k in some)
    workers = min(workers or cpu_count(), len(some)) if work > worth_processes else 1
    classifier = GradientBoostingClassifier(n_estimators=trees, random_state=random_state)
    fitted = Parallel(n_jobs=workers)(
        delayed(_fit)(classifier, z, classes[k][0], z_test, classes[k][1]) for k in by_cost
    )
    results = dict(zip(by_cost, fitted, strict=True))
    importances, accuracy, accuracy_test = zip(*(results[k] for k in some), strict=True)
    importance[kept] = np.stack(importances, axis=1)
    return importance, np.array(accuracy), np.array(accuracy_test)


def from_trees(importance: np.ndarray, accuracy: np.ndarray, accuracy_test: np.ndarray) -> dict[str, float]:
    """The scores of what `fit_trees` returns. Without varying factors, accuracies are 1."""
    return {
        "dci_disentanglement": disentanglement(importance),
        "dci_completeness": completeness(importance),
        "dci_informativeness_train": float(accuracy.mean()) if len(accuracy) else 1.0,
        "dci_informativeness_test": float(accuracy_test.mean()) if len(accuracy_test) else 1.0,
    }


def beyond_guessing(
    importance: np.ndarray, factors: np.ndarray, factors_test: np.ndarray, accuracy_test: np.ndarray
) -> np.ndarray:
    """Importances `[d, varying k]`, times the share of each factor that trees predict beyond guessing: `[d, k]`.

    Guessing takes the most frequent value of the training set. A factor about which the trees know nothing has 0 for
    every latent, where the importances, which sum to 1 whatever the code, have about 1 / d.
    """
    found = np.zeros((len(importance), factors.shape[1]))  # [d, k]
    for k, column, accuracy in zip(varying(factors), importance.T, accuracy_test, strict=True):
        values, counts = np.unique(factors[:, k], return_counts=True)
        guessed = float((factors_test[:, k] == values[counts.argmax()]).mean())
        found[:, k] = column * max(0.0, (accuracy - guessed) / (1 - guessed)) if guessed < 1 else 0.0
    return found


@takes_tables
def dci(
    codes,
    factors,
    codes_test=None,
    factors_test=None,
    *,
    trees: int = 100,
    random_state: int = 0,
    workers: int | None = None,
) -> dict[str, float]:
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

    Without a test set, a random half of the rows is one (`random_state`).

    Source: Eastwood & Williams 2018, with the trees of Locatello et al. 2019. Convention: informativeness is an
    accuracy, not an error.

    Example:
        >>> factors = np.random.default_rng(0).integers(0, 4, (1000, 2))
        >>> round(dci(factors, factors, trees=2)["dci_disentanglement"], 1)
        1.0
    """
    if codes_test is None:
        codes, factors, codes_test, factors_test = halves(codes, factors, random_state=random_state)
    tables = (codes, factors, codes_test, factors_test)
    return from_trees(*fit_trees(*tables, trees=trees, random_state=random_state, workers=workers))
