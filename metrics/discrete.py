"""Discretisation of codes, entropy, and mutual information between discrete columns."""

from __future__ import annotations

import numpy as np

from metrics.checks import constant, labels

BINS = 20
EDGE = 1e-5  # in bins; values below an edge by rounding only count as above it
ROUNDING = 1e-12  # nats; less information than this is the rounding error of a sum that is 0


def discretise(codes: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Codes `[n, d]` -> int64 `[n, d]` in 0..bins-1: equal-width bins over the range of each latent.

    The last bin is closed on the right. A latent that is constant up to rounding has one bin, and so no information.
    Invariant to scale and offset.
    """
    low, high = codes.min(axis=0), codes.max(axis=0)  # [d]
    width = np.where(constant(codes), np.inf, high - low)  # [d]
    return np.minimum(np.floor((codes - low) / width * bins + EDGE), bins - 1).astype(np.int64)


def entropy(counts: np.ndarray) -> float:
    """Shannon entropy in nats of the distribution given by counts (any shape, unnormalised)."""
    counts = counts[counts > 0].astype(np.float64)
    if len(counts) == 1:
        return 0.0
    total = counts.sum()
    return float(np.log(total) - (counts * np.log(counts)).sum() / total)


def entropies(columns: np.ndarray) -> np.ndarray:
    """Discrete columns `[n, k]` -> their entropies in nats, float64 `[k]`."""
    return np.array([entropy(np.bincount(column)) for column in labels(columns).T])


def mutual_information(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Plug-in mutual information of discrete columns `[n, d]` and `[n, k]` in nats: float64 `[d, k]`, at least 0.

    `I(a; b) = H(a) + H(b) - H(a, b)` from the joint counts, exactly 0 if these are independent. The estimate is biased
    upwards by about `(values of a - 1)(values of b - 1) / 2n`. Published MIG scores include this bias, so it is not
    corrected here.
    """
    first, second = (table if table.dtype == np.int64 else labels(table) for table in (first, second))
    matrix = np.empty((first.shape[1], second.shape[1]))  # [d, k]
    for i, left in enumerate(first.T):
        for j, right in enumerate(second.T):
            shape = int(left.max()) + 1, int(right.max()) + 1
            counts = np.bincount(left * shape[1] + right, minlength=shape[0] * shape[1]).reshape(shape)  # joint
            matrix[i, j] = entropy(counts.sum(1)) + entropy(counts.sum(0)) - entropy(counts)
    return np.where(matrix > ROUNDING, matrix, 0.0)  # scores divide by it, however small


def mutual_information_with_factors(codes: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Mutual information of codes `[n, d]`, discretised into 20 bins, and factors `[n, k]` in nats: `[d, k]`."""
    return mutual_information(discretise(codes), factors)
