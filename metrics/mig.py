"""Mutual information gap."""

from __future__ import annotations

import numpy as np

from metrics.discrete import entropies, mutual_information_with_factors
from metrics.inputs import varying


def gaps(representations: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Codes `[n, d]`, factors `[n, k]` -> per factor the gap between its two most informative latents over its
    entropy.

    `[k]`, in [0, 1]; NaN for a constant factor, whose entropy is 0. With one latent the second is taken as 0.
    """
    information = mutual_information_with_factors(representations, factors)  # [d, k]
    ranked = np.sort(information, axis=0)[::-1]  # [d, k]
    second = ranked[1] if len(ranked) > 1 else 0.0
    entropy = entropies(factors)  # [k]
    return np.divide(ranked[0] - second, entropy, out=np.full(len(entropy), np.nan), where=entropy > 0)


def score(representations: np.ndarray, factors: np.ndarray) -> dict[str, float]:
    """Is each factor's information held by one latent alone?

    1. Cut each latent into 20 equal-width bins over its range.
    2. Plug-in mutual information of every latent with every factor, in nats.
    3. Per factor: (largest - second largest) / entropy of the factor.
    4. Mean over the factors; constant factors are left out (0 when none remains).

    Range [0, 1]; ideal 1 (reached only when the bins resolve the factor); a useless code 0; a redundant copy of a
    latent also 0.

    Source: Chen et al. 2018 (eq. 6), with the 20-bin histogram estimate of Locatello et al. 2019.
    Convention: `discrete_mig` leaves out the first factor (dSprites shape, 3D Shapes floor hue), as the reference
    logs it (it is 0 with a single factor); `discrete_mig_all_factors` is the usual definition.
    """
    gap = gaps(representations, factors)  # [k]
    some = np.isin(np.arange(len(gap)), varying(factors))
    rest = some & (np.arange(len(gap)) > 0)
    return {
        "discrete_mig": float(gap[rest].mean()) if rest.any() else 0.0,
        "discrete_mig_all_factors": float(gap[some].mean()) if some.any() else 0.0,
    }
