"""Factor leakage: how much information about a factor is outside its best latent?"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from metrics.discrete import mutual_information_with_factors
from metrics.factors import varying
from metrics.metric import ONE_FACTOR, Metric, Request, lower_is_better

NAMES = ("factor_leakage_mean", "factor_leakage_norm_mean", "factor_leakage_auc", "factor_leakage_nm_auc")


def score(representations: np.ndarray, factors: np.ndarray, left_out: ArrayLike = (0,)) -> dict[str, float]:
    """How much information about each factor do latents other than the best one have?

    1. Cut each latent into 20 equal-width bins; mutual information of every latent with every factor but `left_out`.
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
    the reference, the first factor (dSprites shape, 3D Shapes floor hue) is left out, here by name.
    """
    some = np.setdiff1d(varying(factors), left_out)
    if not len(some):
        return dict.fromkeys(NAMES, 0.0)
    information = mutual_information_with_factors(representations, factors[:, some])  # [d, k]
    ranked = np.sort(information, axis=0)[::-1]  # [d, k]
    relative = np.divide(ranked, ranked[0], out=np.zeros_like(ranked), where=ranked[0] > 0)  # [d, k]
    remaining = np.arange(1, len(ranked) + 1)[:, None]  # [d, 1]
    tails = (np.cumsum(relative[::-1], axis=0) / remaining)[::-1]  # [d, k], t_0 ... t_{d-1}
    if len(ranked) == 1:
        return dict(zip(NAMES, (0.0, 0.0, float(tails.mean()), 0.0), strict=True))
    values = ranked[1:].mean(), relative[1:].mean(), tails.mean(), tails[1:].mean()
    return {name: float(value) for name, value in zip(NAMES, values, strict=True)}


def _score(request: Request) -> dict[str, float]:
    return score(*request.table("points"), request.source.left_out)


METRIC = Metric(
    "factor_leakage",
    "factor leakage: information about a factor outside its best latent",
    ONE_FACTOR,
    (
        lower_is_better(
            "factor_leakage_mean",
            "factor leakage",
            "information about a factor outside its best latent, in nats",
            column="fl",
            place=11,
        ),
        lower_is_better(
            "factor_leakage_norm_mean",
            "factor leakage, relative",
            "the same relative to the best latent: 1 if all latents are equally informative",
        ),
        lower_is_better(
            "factor_leakage_auc",
            "factor leakage, area",
            "area under the leakage as the best latents are removed one by one; at best 1 / d^2",
            ideal=None,
        ),
        lower_is_better(
            "factor_leakage_nm_auc", "factor leakage, area without the best", "the same from the second latent on"
        ),
    ),
    _score,
)
