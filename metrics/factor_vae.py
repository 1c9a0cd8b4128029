"""FactorVAE score: which latent varies least while one factor is held fixed?"""

from __future__ import annotations

import numpy as np

from metrics.checks import deviations, takes_tables
from metrics.rows import shared_factors, sharing_rows

ACTIVE_DEVIATION = 0.1
AT_ONCE = 2**20  # numbers of codes in memory at once: those of all votes would be gigabytes for hundreds of latents


def count_votes(
    codes: np.ndarray, rows: np.ndarray, fixed: np.ndarray, deviation: np.ndarray, factors: int
) -> np.ndarray:
    """Count how often each latent varies least for each fixed factor: float64 `[factors, active]`.

    Latents that vary equally little, such as those of a discrete code that do not vary at all, share the vote.

    Args:
        codes: of the active latents, `[n, active]`.
        rows: of each vote, `[votes, batch]`.
        fixed: the factor `[votes]`.
        deviation: of each latent over all samples, `[active]`.
    """
    counts = np.zeros((factors, codes.shape[1]))
    chunk = max(1, AT_ONCE // (rows.shape[1] * codes.shape[1]))
    for start in range(0, len(rows), chunk):
        z = codes[rows[start : start + chunk]]  # [chunk, batch, active]
        relative = z.var(axis=1, ddof=1) / deviation**2  # [chunk, active]
        relative[(z == z[:, :1]).all(axis=1)] = 0.0  # the rounding of a mean may leave more than that
        least = relative == relative.min(axis=1, keepdims=True)  # [chunk, active]
        np.add.at(counts, fixed[start : start + chunk], least / least.sum(axis=1, keepdims=True))
    return counts


@takes_tables
def factor_vae(
    codes,
    factors,
    *,
    train_votes: int = 10_000,
    eval_votes: int = 5_000,
    batch: int = 64,
    variance_points: int = 10_000,
    random_state=0,
) -> dict[str, float]:
    """Does the latent that varies least identify the factor that is held fixed?

    1. Variance of each latent over 10,000 samples (ddof 1); latents with a standard deviation below 0.1 are dropped.
    2. A vote: draw a factor and 64 samples that share its value; the vote is for the latent with the smallest variance
       relative to that of step 1. Latents that do not vary at all in such samples share the vote equally.
    3. From 10,000 votes: each latent predicts the factor for which it got most votes. `fac_train` is the accuracy of
       these predictions on the same votes.
    4. `fac_eval`: the accuracy on 5,000 fresh votes. `fac_num_act`: the number of latents kept in step 1.

    Range [0, 1]; ideal 1; an uninformative code about 1 / (number of varying factors); a collapsed code (no active
    latent) 0, 0, 0; without any varying factor the accuracies are 0. Several latents may represent one factor, and a
    latent of several factors may still get the votes, so 1 does not prove disentanglement. Constant factors are not
    drawn. Invariant to offset and to dead latents; to scale only if the same latents reach a deviation of 0.1.

    Source: Kim & Mnih 2018, section 4; activity threshold as in the reference.

    Example:
        >>> factors = np.random.default_rng(0).integers(0, 4, (1000, 2))
        >>> factor_vae(factors, factors)["fac_eval"]
        1.0
    """
    rng = np.random.default_rng(random_state)
    deviation = deviations(codes[rng.integers(len(codes), size=variance_points)])  # [d]
    active, some = np.flatnonzero(deviation >= ACTIVE_DEVIATION), shared_factors(factors)
    if not len(active) or not len(some):
        return {"fac_train": 0.0, "fac_eval": 0.0, "fac_num_act": float(len(active))}
    fixed = rng.choice(some, train_votes + eval_votes)  # [votes]
    rows = sharing_rows(factors, fixed, batch, rng)  # [votes, batch]
    train, fresh = (
        count_votes(codes[:, active], rows[part], fixed[part], deviation[active], factors.shape[1])
        for part in (slice(train_votes), slice(train_votes, None))
    )  # [k, active] each
    favourite = train.argmax(axis=0), np.arange(len(active))
    right = [float(counts[favourite].sum() / counts.sum()) for counts in (train, fresh)]
    return {"fac_train": right[0], "fac_eval": right[1], "fac_num_act": float(len(active))}
