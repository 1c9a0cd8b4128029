"""Unsupervised disentanglement ranking (UDR): do several runs learn the same latents?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metrics.checks import InputError, check_codes, deviations
from metrics.factor_vae import ACTIVE_DEVIATION


def similarity(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Absolute rank correlations `[a, b]` of the latents of two runs, `[n, a]` and `[n, b]`, none of them constant."""
    from scipy.stats import rankdata

    first, second = rankdata(first, axis=0), rankdata(second, axis=0)
    first = (first - first.mean(0)) / first.std(0)  # [n, a]
    second = (second - second.mean(0)) / second.std(0)  # [n, b]
    return np.abs(first.T @ second) / len(first)


def pair_score(first: np.ndarray, second: np.ndarray) -> float:
    """UDR of two runs, from codes `[n, a]` and `[n, b]` of their informative latents.

    1 if every latent has exactly one counterpart in the other run; 0 if a run has no informative latents.
    """
    if not first.shape[1] or not second.shape[1]:
        return 0.0
    matrix = similarity(first, second)  # [a, b]
    total = 0.0
    for table in (matrix, matrix.T):
        sums = table.sum(axis=0)
        total += np.divide(table.max(axis=0) ** 2, sums, out=np.zeros_like(sums), where=sums > 0).sum()
    return float(total / (first.shape[1] + second.shape[1]))


def udr(runs: Sequence) -> dict[str, float]:
    """Do several runs learn the same latents? Needs no factors.

    runs: codes `[n, d]` of each run, for the same samples in the same order.

    1. Per run, keep the informative latents: standard deviation of the means at least 0.1.
    2. Per ordered pair of runs: absolute rank correlations R of their latents; per latent max^2 / sum over its row or
       column of R; mean over the latents of both runs.
    3. `UDR_run_<i>`: median over the other runs. `UDR`: mean over runs.

    Range [0, 1]; ideal 1: all runs have the same latents up to order, sign and monotone maps; unrelated or mixed
    latents score about 1 / d or less. On few samples, chance correlations keep even equal runs below 1. A run without
    informative latents scores 0. Agreement does not prove disentanglement: runs may fail in the same way. Invariant to
    offset and to dead latents; to scale only if the same latents reach a deviation of 0.1.

    Source: Duan et al. 2020, eq. 2 and 3. Convention: latents are informative by the deviation of the means; the
    paper's KL > 0.01 needs variances. This is UDR_S. Raises InputError for fewer than two runs,
    different numbers of rows, NaN.

    Example:
        >>> factors = np.random.default_rng(0).integers(0, 4, (1000, 2))
        >>> round(udr([factors, factors[:, ::-1]])["UDR"], 1)
        1.0
    """
    tables = [check_codes(run, f"run {number}") for number, run in enumerate(runs)]
    if len(tables) < 2:
        raise InputError("UDR compares runs: give the codes of at least two")
    if len({len(table) for table in tables}) > 1:
        raise InputError("UDR needs codes of the same samples from every run; their numbers of rows differ")
    tables = [table[:, deviations(table) >= ACTIVE_DEVIATION] for table in tables]
    pairs = np.full((len(tables), len(tables)), np.nan)
    for i, first in enumerate(tables):
        for j, second in enumerate(tables[:i]):
            pairs[i, j] = pairs[j, i] = pair_score(first, second)
    medians = np.nanmedian(pairs, axis=1)  # [runs]
    return {"UDR": float(medians.mean())} | {f"UDR_run_{i}": float(value) for i, value in enumerate(medians)}
