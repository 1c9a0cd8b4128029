"""Scores of the dependence among latents, which need no factors."""

from __future__ import annotations

import numpy as np

from metrics.checks import check_codes, constant, standardised
from metrics.discrete import discretise, mutual_information


def gaussian_scores(codes: np.ndarray) -> tuple[float, float, float]:
    """Total correlation, Wasserstein correlation, and the latter over tr C, of codes `[n, active]`, none constant."""
    if not codes.shape[1]:
        return 0.0, 0.0, 0.0
    (z,) = standardised(codes)  # [n, active]
    correlation = z.T @ z / len(z)  # [active, active]
    eigenvalues = np.maximum(np.linalg.eigvalsh(correlation), 1e-15)  # [active]
    variances = codes.var(0, ddof=1)  # [active]
    trace = float(variances.sum())
    crossed = np.linalg.eigvalsh(correlation * np.outer(variances, variances))  # of D^1/2 C D^1/2, [active]
    distance = max(0.0, 2 * trace - 2 * float(np.sqrt(np.maximum(crossed, 0.0)).sum()))
    relative = distance / trace if trace > 0 else 0.0
    return max(0.0, float(-0.5 * np.log(eigenvalues).sum())), distance, relative


def unsupervised(codes) -> dict[str, float]:
    """How dependent are the latents on one another?

    1. Covariance C of the codes; constant latents are left out of the Gaussian scores.
    2. `gaussian_total_correlation`: (sum log C_ii - log det C) / 2, the total correlation of a Gaussian with that
       covariance, in nats.
    3. `gaussian_wasserstein_correlation`: 2 tr C - 2 tr (D^1/2 C D^1/2)^1/2 with D = diag C, the squared
       2-Wasserstein distance between that Gaussian and the one with independent latents; `..._norm` divides it by
       tr C.
    4. `mutual_info_score`: mean plug-in mutual information over the ordered pairs of different latents, 20 bins
       each, in nats.

    Invariant to offset; the first and the last also to the scale of each latent, the normalised distance to a common
    scale. Dead latents lower `mutual_info_score`, whose mean includes their pairs, and have no other effect.

    Range [0, infinity) (the normalised form [0, 2]); ideal 0; large for redundant latents. Uninformative codes may
    score 0, too: alone, these scores do not measure disentanglement. Exactly dependent latents have an infinite total
    correlation; the reported value is finite, since the eigenvalues of the correlation matrix are at least 1e-15.

    Source: Locatello et al. 2019, appendix (unsupervised scores). Convention: sums of eigenvalues instead of a
    matrix square root.

    Example:
        >>> factors = np.random.default_rng(0).integers(0, 4, (1000, 2))
        >>> round(unsupervised(factors + 0.1)["gaussian_total_correlation"], 1)
        0.0
    """
    codes = check_codes(codes)
    total, distance, relative = gaussian_scores(codes[:, ~constant(codes)])
    binned = discretise(codes)
    information = mutual_information(binned, binned)  # [d, d]
    pairs = len(information) * (len(information) - 1)
    return {
        "gaussian_total_correlation": total,
        "gaussian_wasserstein_correlation": distance,
        "gaussian_wasserstein_correlation_norm": relative,
        "mutual_info_score": float((information.sum() - np.trace(information)) / pairs) if pairs else 0.0,
    }
