"""beta-VAE score: can a linear classifier tell from code differences which factor a batch of pairs shares?"""

from __future__ import annotations

import warnings

import numpy as np

from metrics.checks import constant, takes_tables
from metrics.rows import shared_factors, sharing_rows


@takes_tables
def beta_vae(
    codes, factors, *, points: int = 1_000, batch: int = 5, tol: float = 1e-8, max_iter: int = 10_000, random_state=0
) -> dict[str, float]:
    """Can a linear classifier predict from differences of codes which factor the two samples of a pair share?

    1. A point: draw a factor, and 5 pairs of samples; the samples of a pair share the value of this factor. The feature
       `[d]` is the mean over pairs of |z_1 - z_2|, the label is the factor.
    2. Multinomial logistic regression without regularisation on 1,000 points; `hig_acc` is its training accuracy.
    3. `val_hig_acc`: its accuracy on 1,000 fresh points.

    Range [0, 1]; ideal 1; an uninformative code about 1 / (number of varying factors). A rotated code scores in
    between; copies of latents have no effect. Constant factors are not drawn; with one varying factor the score
    is 1, without any it is 0. Invariant to scale and offset of each latent, and to dead latents.

    Source: Higgins et al. 2017, section 3, with the features of Locatello et al. 2019. Convention: features are
    divided by their training deviation before the fit. This does not change the optimum, but the solver then reaches it
    at every scale.

    The regression (L-BFGS, 30 to 10,000 iterations) is solved to the tolerance `tol`, so that the accuracies of codes
    that differ by rounding are within 0.003 of each other; at scikit-learn's tolerance of 1e-4 they differed by up to
    0.008. If a class is separable, the optimum is at infinity: `hig_acc` is then that of the optimum, and `val_hig_acc`
    depends by a few points of 1,000 on where the solver stops.

    Example:
        >>> factors = np.random.default_rng(0).integers(0, 9, (1000, 2))
        >>> round(beta_vae(factors, factors)["val_hig_acc"], 1)
        1.0
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    rng, some = np.random.default_rng(random_state), shared_factors(factors)
    if len(some) < 2:
        return dict.fromkeys(("hig_acc", "val_hig_acc"), float(len(some)))
    fixed = rng.choice(some, 2 * points)  # [2 points], for training and evaluation
    rows = sharing_rows(factors, fixed, batch, rng, pairs=True)  # [2 points, batch, 2]
    features = np.abs(codes[rows[..., 0]] - codes[rows[..., 1]]).mean(axis=1)  # [2 points, d]
    if len(np.unique(fixed[:points])) < 2:
        return dict.fromkeys(("hig_acc", "val_hig_acc"), 1.0)
    train = features[:points]
    largest = train.max(axis=0)  # [d]
    features = features / np.where(largest > 0, largest, 1.0)
    train = features[:points]
    features = features / np.where(constant(train), 1.0, train.std(axis=0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the optimum of separable points is at infinity
        model = LogisticRegression(C=np.inf, tol=tol, max_iter=max_iter).fit(features[:points], fixed[:points])
    return {
        "hig_acc": float(model.score(features[:points], fixed[:points])),
        "val_hig_acc": float(model.score(features[points:], fixed[points:])),
    }
