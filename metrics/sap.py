"""Separated attribute predictability."""

from __future__ import annotations

import numpy as np

from metrics.factors import varying
from metrics.inputs import standardised
from metrics.metric import ONE_FACTOR, Metric, Score


def squared_correlations(representations: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Codes `[n, d]`, factors `[n, k]` -> squared Pearson correlation `[d, k]`; 0 where either is constant."""
    (z,), (f,) = standardised(representations), standardised(factors)  # [n, d], [n, k]
    return (z.T @ f / len(z)) ** 2  # [d, k]


def score(representations: np.ndarray, factors: np.ndarray) -> dict[str, float]:
    """Is each factor linearly predicted by one latent alone?

    1. Squared correlation of every latent with every factor (the R^2 of a one-variable linear regression).
    2. Per factor: largest minus second largest (a single latent's rival counts 0).
    3. Mean over the factors that vary (0 when none does).

    Range [0, 1]; ideal 1 for a linear code; a useless code 0. Invariant to scale and offset of each latent, and
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
    "separated attribute predictability: each factor linear in one latent alone",
    ONE_FACTOR,
    (
        Score(
            "SAP_score",
            "SAP",
            "linear MIG: 0 with copies, and for factors held non-linearly",
            column="sap",
            place=10,
            headline=2,
        ),
    ),
    lambda request: score(*request.table("points")),
)
