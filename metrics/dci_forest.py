"""DCI from random forests."""

from __future__ import annotations

from collections.abc import Callable

from metrics import dci
from metrics.metric import ONE_FACTOR, Metric, Request


def score(request: Request) -> Callable[[], dict[str, float]]:
    """DCI as in `metrics.dci`, with importances and accuracies of random forests of 100 full trees.

    Every latent is a candidate at every split: with scikit-learn's default, a random subset, the importances of even an
    ideal code are spread. Forests spread importances over correlated latents more than boosting does, so D and C are
    lower; they are much faster. Ideal 1; an uninformative code: D and C about 0.

    Source: Eastwood & Williams 2018, who used forests as well as the lasso. Convention: factors are classes and the
    depth is not limited; they regressed the factors and tuned the depth.
    """
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(request.preset.dci_trees, max_features=None, random_state=request.seed)
    trees = dci.fit_trees(forest, *request.both(), workers=request.workers)
    return lambda: dci.scores("dci_forest", *trees())


METRIC = Metric(
    "dci_forest",
    "DCI from random forests",
    ONE_FACTOR,
    dci.declared(
        "dci_forest",
        "forests",
        "DCI from bagged trees: faster, spreads importance more",
        "the same",
        "forests overfit: not meaningful on its own",
        "how well forests predict the factors",
    ),
    score,
)
