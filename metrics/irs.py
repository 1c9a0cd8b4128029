"""Interventional robustness score."""

from __future__ import annotations

import warnings

import numpy as np

from metrics.checks import constant, labels, takes_tables, varying

QUANTILE = 0.99
ROWS = 50  # per level: the quantile of a few rows is far below that of all, so that noise would look robust


def within(codes: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Deviation of each latent while a factor is fixed: codes `[n, d]`, labels of the factor `[n]` -> `[d]`.

    For each value of the factor, the 0.99 quantile of |z - mean of z for this value|; then the mean over values,
    weighted by their frequency.
    """
    order = np.argsort(factor, kind="stable")
    groups = np.split(codes[order], np.flatnonzero(np.diff(factor[order])) + 1)  # [value's rows, d] each
    weighted = [len(rows) * np.quantile(np.abs(rows - rows.mean(0)), QUANTILE, axis=0) for rows in groups]
    return np.sum(weighted, axis=0) / len(codes)


@takes_tables
def irs(codes, factors) -> dict[str, float]:
    """Does each latent stay constant while its factor is fixed and the other factors vary?

    1. Per latent: its largest deviation from its mean over all samples.
    2. Per latent and factor: group the samples by the value of the factor; within a group, the 0.99 quantile of the
       deviation from the mean of the group; mean over groups weighted by size. Robustness `[d, k]` is 1 - the ratio of
       this to the deviation of step 1.
    3. Per latent, the largest robustness over factors. `IRS`: mean over latents weighted by the deviation of step 1; it
       depends on the scale of single latents. `IRS_unweighted`: the plain mean over varying latents, which does not.

    Range [0, 1]; ideal 1; an uninformative Gaussian code about 0.3, since a 0.99 quantile is compared with a maximum.
    Redundant latents do not lower it. Factors with fewer than ROWS rows a level are left out, with a warning: with two
    rows noise would score 0.7. If none is left, there is no score. Invariant to offset, to a common scale of latents
    and to dead latents, which have no weight; without any varying latent or factor the score is 0.

    Source: Suter et al. 2019, section 4. Convention: quantile 0.99 within groups and the maximum overall, as
    Locatello et al. 2019.

    Example:
        >>> factors = np.random.default_rng(0).integers(0, 4, (1000, 2))
        >>> round(irs(factors, factors)["IRS"], 1)
        1.0
    """
    centred = codes - codes.mean(0)
    largest = np.where(constant(codes), 0.0, np.abs(centred).max(0))  # [d]
    active, some = largest > 0, varying(factors)
    if not active.any() or not len(some):
        return {"IRS": 0.0, "IRS_unweighted": 0.0}
    columns = labels(factors[:, some])
    levels = columns.max(axis=0) + 1  # [k]
    enough = ROWS * levels <= len(columns)  # [k]
    if not enough.all():
        warnings.warn(
            f"IRS leaves out {(~enough).sum()} of {len(enough)} varying factors: one of {levels.max()} levels needs "
            f"{ROWS * levels.max()} rows, and {len(columns)} are used",
            stacklevel=2,
        )
    if not enough.any():
        return {}
    columns = columns[:, enough]
    spread = np.stack([within(centred[:, active], column) for column in columns.T], axis=1)  # [active, k]
    robustness = np.clip(1.0 - spread / largest[active][:, None], 0.0, 1.0).max(axis=1)  # [active]
    weighted = np.average(robustness, weights=largest[active])
    return {"IRS": float(weighted), "IRS_unweighted": float(robustness.mean())}
