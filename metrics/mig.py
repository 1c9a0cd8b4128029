"""Mutual information gap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metrics.checks import takes_tables, varying
from metrics.discrete import discretise, entropies, mutual_information, mutual_information_with_factors

MANY_ROWS = 100_000  # one shuffle tells the chance level of so many


def gaps(information: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """For each factor, the gap between its two most informative latents, divided by its entropy: `[k]`, in [0, 1].

    Mutual information is `[d, k]`, factors are `[n, k]`. NaN for constant factors, whose entropy is 0. With one latent,
    the second is taken as 0.
    """
    ranked = np.sort(information, axis=0)[::-1]  # [d, k]
    second = ranked[1] if len(ranked) > 1 else 0.0
    entropy = entropies(factors)  # [k]
    return np.divide(ranked[0] - second, entropy, out=np.full(len(entropy), np.nan), where=entropy > 0)


@takes_tables
def mig(codes, factors, *, left_out: Sequence[int] = ()) -> dict[str, float]:
    """Is the information about each factor in one latent only?

    1. Cut each latent into 20 equal-width bins over its range.
    2. Plug-in mutual information of every latent with every factor, in nats.
    3. Per factor: (largest - second largest) / entropy of the factor.
    4. `discrete_mig_all_factors`: mean over the factors; `discrete_mig`: over all but the columns `left_out`,
       unless no other varies. Constant factors are left out (0 if none remains).

    Range [0, 1]; ideal 1 (if the bins resolve the factor); an uninformative code 0; a code with copies of all latents
    also 0. Invariant to scale and offset of each latent, and to dead latents.

    Source: Chen et al. 2018 (eq. 6), with the 20-bin histogram estimate of Locatello et al. 2019.
    Convention: the reference logs MIG without its first factor (dSprites shape, 3D Shapes floor hue), which
    these data sets declare as left out; `discrete_mig_all_factors` is the usual definition.

    Example:
        >>> factors = np.random.default_rng(0).integers(0, 4, (1000, 2))
        >>> round(mig(factors, factors)["discrete_mig"], 1)
        1.0
    """
    information = mutual_information_with_factors(codes, factors)  # [d, k]
    gap = gaps(information, factors)  # [k]
    some, rest = varying(factors), varying(factors, left_out)
    return {
        "discrete_mig": float(gap[rest].mean()) if len(rest) else 0.0,
        "discrete_mig_all_factors": float(gap[some].mean()) if len(some) else 0.0,
    }


def information_beyond_chance(codes: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Mutual information of every latent with every factor, less that with shuffled factors: `[d, k]` in nats.

    Of all rows of codes `[n, d]` and factors `[n, k]`: 500 points have half a nat with a factor of 40 values by chance.
    At least 0.
    """
    rng, binned = np.random.default_rng(0), discretise(codes)
    shuffles = 5 if len(codes) < MANY_ROWS else 1
    chance = [mutual_information(binned, rng.permutation(factors)) for _ in range(shuffles)]
    return np.maximum(mutual_information(binned, factors) - np.mean(chance, axis=0), 0.0)
