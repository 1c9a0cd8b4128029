"""Scores that need no factors: how far the latents are from independence."""

from __future__ import annotations

import numpy as np

from metrics.discrete import discretise, mutual_information


def score(representations: np.ndarray) -> dict[str, float]:
    """How dependent are the latents on one another?

    1. Covariance C of the codes; a latent without variance is left out of the Gaussian scores (it depends on nothing).
    2. `gaussian_total_correlation`: (sum log C_ii - log det C) / 2, the total correlation of a Gaussian with that
       covariance, in nats.
    3. `gaussian_wasserstein_correlation`: 2 tr C - 2 tr (D^1/2 C D^1/2)^1/2 with D = diag C, the squared
       2-Wasserstein distance between that Gaussian and the one with independent latents; `..._norm` divides it by
       tr C.
    4. `mutual_info_score`: mean plug-in mutual information over the ordered pairs of different latents, 20 bins
       each, in nats.

    Range [0, infinity) (the normalised form [0, 2]); ideal 0; redundant latents large. Codes that hold no factor at
    all may well score 0: these are no measure of disentanglement by themselves. Exactly dependent latents have an
    infinite total correlation; it is reported as the finite value that float64 rounding leaves, with the
    eigenvalues of the correlation matrix floored at 1e-15.

    Source: Locatello et al. 2019, appendix (unsupervised scores). Convention: sums of eigenvalues instead of a
    matrix square root.
    """
    codes = representations.astype(np.float64)
    covariance = np.atleast_2d(np.cov(codes.T))  # [d, d]
    active = np.diag(covariance) > 0
    covariance = covariance[np.ix_(active, active)]
    variances = np.diag(covariance)  # [active]
    deviations = np.sqrt(variances)
    correlation = covariance / np.outer(deviations, deviations)
    eigenvalues = np.maximum(np.linalg.eigvalsh(correlation), 1e-15) if active.any() else np.ones(1)
    scaled = np.linalg.eigvalsh(covariance * np.outer(deviations, deviations)) if active.any() else np.zeros(1)
    trace = variances.sum()
    distance = max(0.0, float(2 * trace - 2 * np.sqrt(np.maximum(scaled, 0.0)).sum()))

    binned = discretise(codes)
    information = mutual_information(binned, binned)  # [d, d]
    pairs = len(information) * (len(information) - 1)
    return {
        "gaussian_total_correlation": max(0.0, float(-0.5 * np.log(eigenvalues).sum())),
        "gaussian_wasserstein_correlation": distance,
        "gaussian_wasserstein_correlation_norm": distance / float(trace) if trace > 0 else 0.0,
        "mutual_info_score": float((information.sum() - np.trace(information)) / pairs) if pairs else 0.0,
    }
