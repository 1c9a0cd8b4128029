"""Separated attribute predictability."""

from __future__ import annotations

import numpy as np

from metrics.factors import varying
from metrics.inputs import standardised
from metrics.metric import ONE_FACTOR, Metric, Score


def squared_correlations(representations: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Squared Pearson correlations `[d, k]` of codes `[n, d]` and factors `[n, k]`; 0 if either is constant."""
    (z,), (f,) = standardised(representations), standardised(factors)  # [n, d], [n, k]
    return (z.T @ f / len(z)) ** 2  # [d, k]


def score(representations: np.ndarray, factors: np.ndarray) -> dict[str, float]:
    """Is each factor predicted linearly by one latent only?

    1. Squared correlation of every latent with every factor (the R^2 of a one-variable linear regression).
    2. Per factor: largest minus second largest (0 if there is one latent).
    3. Mean over the varying factors (0 if there are none).

    Range [0, 1]; ideal 1 for a linear code; an uninformative code 0. Invariant to scale and offset of each latent, and
    to dead latents.

    Source: Kumar et al. 2018, section 3. Convention: all factors taken as continuous, with the values given, as the
    reference logs it; the classification variant of Locatello et al. gives other (usually smaller) numbers.
    """
    ranked = np.sort(squared_correlations(representations, factors), axis=0)[::-1]  # [d, k]
    gap = ranked[0] - (ranked[1] if len(ranked) > 1 else 0.0)  # [k]
    some = varying(factors)
    return {"SAP_score": float(gap[some].mean()) if len(some) else 0.0}


METRIC = Metric(
    "sap",
    "separated attribute predictability: each factor linear in one latent only",
    ONE_FACTOR,
    (
        Score(
            "SAP_score",
            "SAP",
            "linear MIG: 0 for copies, and for factors represented non-linearly",
            column="sap",
            place=10,
            headline=2,
        ),
    ),
    lambda request: score(*request.table("points")),
)
