"""Interventional robustness score."""

from __future__ import annotations

import numpy as np

from metrics.factors import labels, varying
from metrics.inputs import constant
from metrics.metric import ONE_FACTOR, Metric, Score, draw_many

QUANTILE = 0.99


def deviations(representations: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Codes `[n, d]`, one factor's labels `[n]` -> `[d]`: how far a latent strays while the factor is fixed.

    Per value of the factor the 0.99 quantile of |z - mean of z under that value|; mean over values, weighted by how
    often they occur.
    """
    order = np.argsort(factor, kind="stable")
    groups = np.split(representations[order], np.flatnonzero(np.diff(factor[order])) + 1)  # [value's rows, d] each
    strays = [len(rows) * np.quantile(np.abs(rows - rows.mean(0)), QUANTILE, axis=0) for rows in groups]
    return np.sum(strays, axis=0) / len(representations)


def score(representations: np.ndarray, factors: np.ndarray) -> dict[str, float]:
    """Does each latent stay put, whatever the other factors do, while its own factor is fixed?

    1. Per latent: its largest deviation from its mean over all samples.
    2. Per latent and factor: group the samples by the factor's value; within a group, the 0.99 quantile of the
       deviation from the group's mean; mean over groups weighted by size; 1 - its ratio to 1. = robustness, `[d,
       k]`.
    3. Per latent the largest robustness over factors. `IRS`: mean over latents weighted by the deviation of 1.; it
       changes when single latents are rescaled. `IRS_unweighted`: the plain mean over the latents that vary, which
       does not.

    Range [0, 1]; ideal 1; a useless Gaussian code about 0.3, since a 0.99 quantile is compared with a maximum.
    Redundant latents are not punished. Invariant to offset, to one scale of all latents and to dead latents, which have
    no weight; without any varying latent or factor the score is 0.

    Source: Suter et al. 2019, section 4. Convention: quantile 0.99 within groups and the maximum overall, as
    Locatello et al. 2019.
    """
    codes = representations / (np.abs(representations).max().astype(np.float64) or 1.0)  # no sum overflows
    codes = codes - codes.mean(0)
    largest = np.where(constant(representations), 0.0, np.abs(codes - codes.mean(0)).max(0))  # [d]
    active, some = largest > 0, varying(factors)
    if not active.any() or not len(some):
        return {"IRS": 0.0, "IRS_unweighted": 0.0}
    columns = labels(factors[:, some])
    strays = np.stack([deviations(codes[:, active], column) for column in columns.T], axis=1)  # [active, k]
    robustness = np.clip(1.0 - strays / largest[active][:, None], 0.0, 1.0).max(axis=1)  # [active]
    weighted = np.average(robustness, weights=largest[active])
    return {"IRS": float(weighted), "IRS_unweighted": float(robustness.mean())}


METRIC = Metric(
    "irs",
    "interventional robustness: a latent stays put while its factor is fixed",
    ONE_FACTOR,
    (
        Score(
            "IRS",
            "interventional robustness",
            "does a latent stay put while its factor is fixed? copies are allowed; noise keeps 0.3",
        ),
        Score(
            "IRS_unweighted",
            "interventional robustness, unweighted",
            "the same with every varying latent counted alike",
        ),
    ),
    lambda request: score(*request.table("points")),
    draw_many,
)
