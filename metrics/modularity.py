"""Modularity: is each latent informative about one factor only?"""

from __future__ import annotations

import numpy as np

from metrics.checks import takes_tables, varying
from metrics.discrete import mutual_information_with_factors


def from_information(information: np.ndarray) -> float:
    """Mutual information `[d, k]` -> mean over latents of 1 - (sum of the other squares) / ((k - 1) largest square).

    A latent without information scores 0. With one factor, every informative latent scores 1.
    """
    squares = information**2  # [d, k]
    largest = squares.max(axis=1)  # [d]
    rest = squares.sum(axis=1) - largest  # [d]
    spread = np.divide(rest, largest * max(information.shape[1] - 1, 1), out=np.ones_like(rest), where=largest > 0)
    return float((1.0 - spread).mean())


@takes_tables
def modularity(codes, factors) -> dict[str, float]:
    """Does each latent have information about at most one factor?

    1. Cut each latent into 20 equal-width bins; mutual information m of every latent with every varying factor.
    2. Per latent: 1 - (sum of m^2 without the largest) / ((k - 1) * largest m^2); 0 for a latent without information.
    3. Mean over the latents; 0 if no factor varies.

    Range [0, 1]; ideal 1; a latent that is equally informative about all factors scores 0. The small, uneven sampling
    errors of a noise latent look modular, so an uninformative code scores well above 0 on few samples: read it together
    with explicitness. Invariant to scale and offset of each latent. Dead latents count as latents with score 0.

    Source: Ridgeway & Mozer 2018, eq. 2; 20 bins and 0 for uninformative latents as in Locatello et al. 2019.

    Example:
        >>> factors = np.random.default_rng(0).integers(0, 4, (1000, 2))
        >>> round(modularity(factors, factors)["modularity_score"], 1)
        1.0
    """
    some = varying(factors)
    if not len(some):
        return {"modularity_score": 0.0}
    information = mutual_information_with_factors(codes, factors[:, some])  # [d, k]
    return {"modularity_score": from_information(information)}
