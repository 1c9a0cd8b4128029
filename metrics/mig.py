"""Mutual information gap."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from metrics.discrete import entropies, mutual_information_with_factors
from metrics.factors import varying
from metrics.metric import ONE_FACTOR, Metric, Request, Score


def gaps(information: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """For each factor, the gap between its two most informative latents, divided by its entropy: `[k]`, in [0, 1].

    Mutual information is `[d, k]`, factors are `[n, k]`. NaN for constant factors, whose entropy is 0. With one latent,
    the second is taken as 0.
    """
    ranked = np.sort(information, axis=0)[::-1]  # [d, k]
    second = ranked[1] if len(ranked) > 1 else 0.0
    entropy = entropies(factors)  # [k]
    return np.divide(ranked[0] - second, entropy, out=np.full(len(entropy), np.nan), where=entropy > 0)


def score(representations: np.ndarray, factors: np.ndarray, left_out: ArrayLike = (0,)) -> dict[str, Any]:
    """Is the information about each factor in one latent only?

    1. Cut each latent into 20 equal-width bins over its range.
    2. Plug-in mutual information of every latent with every factor, in nats.
    3. Per factor: (largest - second largest) / entropy of the factor.
    4. `discrete_mig_all_factors`: mean over the factors; `discrete_mig`: over all but the columns `left_out`. Constant
       factors are left out (0 if none remains).

    Range [0, 1]; ideal 1 (if the bins resolve the factor); an uninformative code 0; a code with copies of all latents
    also 0. Invariant to scale and offset of each latent, and to dead latents.

    Source: Chen et al. 2018 (eq. 6), with the 20-bin histogram estimate of Locatello et al. 2019.
    Convention: the reference logs MIG without its first factor (dSprites shape, 3D Shapes floor hue), which
    `discrete_mig` leaves out by name; `discrete_mig_all_factors` is the usual definition.
    """
    information = mutual_information_with_factors(representations, factors)  # [d, k]
    gap = gaps(information, factors)  # [k]
    some = varying(factors)
    rest = np.setdiff1d(some, left_out)
    return {
        "discrete_mig": float(gap[rest].mean()) if len(rest) else 0.0,
        "discrete_mig_all_factors": float(gap[some].mean()) if len(some) else 0.0,
        "mutual_information": information,
    }


def _score(request: Request) -> dict[str, Any]:
    return score(*request.table("points"), request.source.left_out)


METRIC = Metric(
    "mig",
    "mutual information gap: the information about each factor in one latent only",
    ONE_FACTOR,
    (
        Score(
            "discrete_mig",
            "MIG, without left-out factors",
            "as below, without `shape` (dSprites) or `floor_hue` (3D Shapes), as the reference logs it",
            column="mig",
            place=4,
            headline=3,
        ),
        Score(
            "discrete_mig_all_factors", "MIG, all factors", "the usual MIG: 0 if two latents represent a factor equally"
        ),
    ),
    _score,
)
