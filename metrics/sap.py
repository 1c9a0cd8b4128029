"""Separated attribute predictability."""

from __future__ import annotations

import numpy as np

from metrics.checks import standardised, takes_tables, varying


def squared_correlations(codes: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Squared Pearson correlations `[d, k]` of codes `[n, d]` and factors `[n, k]`; 0 if either is constant."""
    (z,), (f,) = standardised(codes), standardised(factors)  # [n, d], [n, k]
    return (z.T @ f / len(z)) ** 2  # [d, k]


@takes_tables
def sap(codes, factors) -> dict[str, float]:
    """Is each factor predicted linearly by one latent only?

    1. Squared correlation of every latent with every factor (the R^2 of a one-variable linear regression).
    2. Per factor: largest minus second largest (0 if there is one latent).
    3. Mean over the varying factors (0 if there are none).

    Range [0, 1]; ideal 1 for a linear code; an uninformative code 0. Invariant to scale and offset of each latent, and
    to dead latents.

    Source: Kumar et al. 2018, section 3. Convention: all factors taken as continuous, with the values given, as the
    reference logs it; the classification variant of Locatello et al. gives other (usually smaller) numbers.

    Example:
        >>> factors = np.random.default_rng(0).integers(0, 4, (1000, 2))
        >>> round(sap(factors, factors)["SAP_score"], 1)
        1.0
    """
    ranked = np.sort(squared_correlations(codes, factors), axis=0)[::-1]  # [d, k]
    gap = ranked[0] - (ranked[1] if len(ranked) > 1 else 0.0)  # [k]
    some = varying(factors)
    return {"SAP_score": float(gap[some].mean()) if len(some) else 0.0}
