"""Robust mutual information gap (RMIG) and its joint-entropy form (JEMMIG)."""

from __future__ import annotations

import numpy as np

from metrics.discrete import ROUNDING, discretise, entropies, mutual_information
from metrics.factors import varying
from metrics.metric import ONE_FACTOR, Metric, Score, draw_many

BINS = 100


def score(representations: np.ndarray, factors: np.ndarray) -> dict[str, float]:
    """MIG with fine bins and many samples; and a form that also requires the best latent to represent nothing else.

    1. Cut each latent into 100 equal-width bins over its range (10,000 samples in the full protocol).
    2. Mutual information of every latent with every factor; per factor the best latent a and the runner-up b. Of
       equally informative latents, a is the one with the smallest entropy, so that their order does not matter.
    3. `RMIG`: mean over factors of (I(a) - I(b)) / H(factor).
    4. `JEMMIG`: mean over factors of 1 - (H(z_a, factor) - I(a) + I(b)) / (H(factor) + log 100).

    Range [0, 1] each; ideal 1 (JEMMIG: if each value of the factor fills one bin); an uninformative code about 0
    (RMIG), and 1 - (H(z) + H) / (log 100 + H) (JEMMIG: 0 for a uniform latent, 0.1 to 0.3 for others). A redundant
    code scores 0 in RMIG and at most log 100 / (log 100 + H) in JEMMIG. A factor without information in any latent
    scores 0 in both: the formula of JEMMIG would reward a collapsed code for its small entropy. Constant factors are
    left out; 0 if none remains. Invariant to scale and offset of each latent, and to dead latents.

    Source: Do & Tran 2020, sections 4.2 and 4.3. Convention: means only, no posterior variance; bins over the range of
    each latent instead of a fixed interval, for invariance to scale; both forms normalised.
    """
    some = varying(factors)
    if not len(some):
        return {"RMIG": 0.0, "JEMMIG": 0.0}
    binned, columns = discretise(representations, BINS), factors[:, some]
    information = mutual_information(binned, columns)  # [d, k]
    factor_entropy, latent_entropy = entropies(columns), entropies(binned)  # [k], [d]
    ranked = np.sort(information, axis=0)[::-1]
    first = ranked[0]
    second = ranked[1] if len(ranked) > 1 else np.zeros_like(first)
    best = information >= first - ROUNDING  # [d, k]
    joint = np.where(best, latent_entropy[:, None], np.inf).min(axis=0) + factor_entropy - first  # [k]
    spent = np.where(first > 0, (joint - first + second) / (factor_entropy + np.log(BINS)), 1.0)  # [k]
    return {
        "RMIG": float(((first - second) / factor_entropy).mean()),
        "JEMMIG": float((1 - spent).mean()),
    }


METRIC = Metric(
    "rmig",
    "RMIG and JEMMIG: MIG on 100 bins, and its joint-entropy form",
    ONE_FACTOR,
    (
        Score("RMIG", "RMIG", "MIG on 100 bins"),
        Score(
            "JEMMIG",
            "JEMMIG",
            "MIG that also requires the best latent to represent nothing else; lower if noise spans several bins",
        ),
    ),
    lambda request: score(*request.table("points")),
    draw_many,
)
