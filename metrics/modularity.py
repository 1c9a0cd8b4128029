"""Modularity: does each latent know of one factor only?"""

from __future__ import annotations

import numpy as np

from metrics.discrete import mutual_information_with_factors
from metrics.factors import varying
from metrics.metric import ONE_FACTOR, Metric, Score


def modularity(information: np.ndarray) -> float:
    """Mutual information `[d, k]` -> mean over latents of 1 - (squares but the largest) / ((k - 1) largest square).

    A latent that knows nothing scores 0. With one factor no latent can mix: every informative latent scores 1.
    """
    squares = information**2  # [d, k]
    largest = squares.max(axis=1)  # [d]
    rest = squares.sum(axis=1) - largest  # [d]
    spread = np.divide(rest, largest * max(information.shape[1] - 1, 1), out=np.ones_like(rest), where=largest > 0)
    return float((1.0 - spread).mean())


def score(representations: np.ndarray, factors: np.ndarray) -> dict[str, float]:
    """Does each latent hold information about at most one factor?

    1. Cut each latent into 20 equal-width bins; mutual information m of every latent with every factor that varies.
    2. Per latent: 1 - (sum of m^2 but the largest) / ((k - 1) * largest m^2); 0 for a latent without information.
    3. Mean over the latents; 0 when no factor varies.

    Range [0, 1]; ideal 1; a latent that knows all factors equally scores 0. Beware: a noise latent's small, uneven
    sampling errors look modular, so a useless code scores well above 0 on few samples; read it beside explicitness.
    Invariant to scale and offset of each latent. A dead latent counts as one that scores 0.

    Source: Ridgeway & Mozer 2018, eq. 2; 20 bins and the 0 of empty latents as in Locatello et al. 2019.
    """
    some = varying(factors)
    if not len(some):
        return {"modularity_score": 0.0}
    information = mutual_information_with_factors(representations, factors[:, some])  # [d, k]
    return {"modularity_score": modularity(information)}


METRIC = Metric(
    "modularity",
    "modularity: each latent informed of one factor only",
    ONE_FACTOR,
    (
        Score(
            "modularity_score",
            "modularity",
            "does a latent know one factor? weak for mixtures and noise, so read it with explicitness",
            column="mod",
            place=8,
            on_screen=True,
            least_factors=2,
        ),
    ),
    lambda request: score(*request.table("points")),
)
