"""Factor leakage: how much information about a factor is outside its best latent?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metrics.checks import takes_tables, varying
from metrics.discrete import mutual_information_with_factors

NAMES = ("factor_leakage_mean", "factor_leakage_norm_mean", "factor_leakage_auc", "factor_leakage_nm_auc")


@takes_tables
def factor_leakage(codes, factors, *, left_out: Sequence[int] = ()) -> dict[str, float]:
    """How much information about each factor do latents other than the best one have?

    1. Cut each latent into 20 equal-width bins; mutual information of every latent with every factor but the columns
       `left_out`, unless no other varies.
    2. Sort each factor's column in descending order: s_0 >= s_1 >= ... >= s_{d-1}; r_i = s_i / s_0.
    3. `factor_leakage_mean`: mean of s_1 ... s_{d-1}, in nats; `factor_leakage_norm_mean`: the same mean of r.
    4. Remove the best k latents: t_k = mean of r_k ... r_{d-1} is the remaining leakage. `factor_leakage_auc`: mean of
       t_0 ... t_{d-1}, the area under the curve of t over k; `factor_leakage_nm_auc`: mean of t_1 ... t_{d-1}.
    5. Each is averaged over the factors.

    Range [0, 1] (the first, in nats, up to the entropy of the factor); ideal 0, except for `factor_leakage_auc`, whose
    t_0 includes the best latent: ideal 1 / d^2. An uninformative code scores near 1, since all latents are equal, and
    near 0 in nats; the plug-in bias of few samples keeps all scores above 0. A factor without information in any latent
    has r = 0, so a collapsed code scores 0: read the scores together with MIG. Constant factors are left out; 0 if none
    remains. Invariant to scale and offset of each latent; means are over all latents, including dead ones.

    Source: Painter, Hare & Pruegel-Bennett 2020 (factor leakage, a relative of MIG). Convention: as in
    the reference, the first factor (dSprites shape, 3D Shapes floor hue) is left out: these data sets declare it.

    Example:
        >>> factors = np.random.default_rng(0).integers(0, 4, (1000, 2))
        >>> round(factor_leakage(factors, factors)["factor_leakage_mean"], 1)
        0.0
    """
    some = varying(factors, left_out)
    if not len(some):
        return dict.fromkeys(NAMES, 0.0)
    information = mutual_information_with_factors(codes, factors[:, some])  # [d, k]
    ranked = np.sort(information, axis=0)[::-1]  # [d, k]
    relative = np.divide(ranked, ranked[0], out=np.zeros_like(ranked), where=ranked[0] > 0)  # [d, k]
    remaining = np.arange(1, len(ranked) + 1)[:, None]  # [d, 1]
    tails = (np.cumsum(relative[::-1], axis=0) / remaining)[::-1]  # [d, k], t_0 ... t_{d-1}
    if len(ranked) == 1:
        return dict(zip(NAMES, (0.0, 0.0, float(tails.mean()), 0.0), strict=True))
    values = ranked[1:].mean(), relative[1:].mean(), tails.mean(), tails[1:].mean()
    return {name: float(value) for name, value in zip(NAMES, values, strict=True)}
