"""Separated attribute predictability."""

from __future__ import annotations

import numpy as np

from metrics.inputs import varying

VARIANCE_FLOOR = 1e-12


def squared_correlations(representations: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Codes `[n, d]`, factors `[n, k]` -> squared Pearson correlation `[d, k]`; 0 where either is constant."""
    z = representations.astype(np.float64)
    f = factors.astype(np.float64)
    z, f = z - z.mean(0), f - f.mean(0)  # [n, d], [n, k]
    covariance = z.T @ f / (len(z) - 1)  # [d, k]
    latent_variance, factor_variance = z.var(0, ddof=1), f.var(0, ddof=1)  # [d], [k]
    product = latent_variance[:, None] * factor_variance[None]  # [d, k]
    usable = (latent_variance[:, None] > VARIANCE_FLOOR) & (factor_variance[None] > 0)
    return np.divide(covariance**2, product, out=np.zeros_like(product), where=usable)


def score(representations: np.ndarray, factors: np.ndarray) -> dict[str, float]:
    """Is each factor linearly predicted by one latent alone?

    1. Squared correlation of every latent with every factor (the R^2 of a one-variable linear regression).
    2. Per factor: largest minus second largest (a single latent's rival counts 0).
    3. Mean over the factors that vary (0 when none does).

    Range [0, 1]; ideal 1 for a linear code; a useless code 0. A latent whose variance is at most 1e-12 predicts
    nothing.

    Source: Kumar et al. 2018, section 3. Convention: all factors taken as continuous, with the values given, as the
    reference logs it; the classification variant of Locatello et al. gives other (usually smaller) numbers.
    """
    ranked = np.sort(squared_correlations(representations, factors), axis=0)[::-1]  # [d, k]
    gap = ranked[0] - (ranked[1] if len(ranked) > 1 else 0.0)  # [k]
    some = varying(factors)
    return {"SAP_score": float(gap[some].mean()) if len(some) else 0.0}
