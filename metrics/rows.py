"""Rows of a table of factors: those that share a value, and those one step of a factor apart."""

from __future__ import annotations

import warnings

import numpy as np

from metrics.checks import labels


class Sharing:
    """The rows of a factor `[n]`, grouped by its value.

    Attributes:
        partnered: the rows whose value another row shares, int64.
    """

    def __init__(self, factor: np.ndarray):
        _, value, count = np.unique(factor, return_inverse=True, return_counts=True)
        small = value.astype(np.int16) if len(count) < 2**15 else value  # NumPy sorts these faster
        self.order = np.argsort(small, kind="stable")  # [n], by value
        self.place = np.empty(len(value), dtype=np.int64)  # [n], of each row in `order`
        self.place[self.order] = np.arange(len(value))
        self.start = (np.cumsum(count) - count)[value]  # [n], where the row's group starts in `order`
        self.count = count[value]  # [n], size of the row's group
        self.partnered = np.flatnonzero(self.count > 1)

    def another(self, rng: np.random.Generator, rows: np.ndarray) -> np.ndarray:
        """For each row, uniformly, another one of its group: int64, same shape."""
        place = self.start[rows] + rng.integers(self.count[rows] - 1)
        return self.order[place + (place >= self.place[rows])]


def shared_factors(factors: np.ndarray) -> np.ndarray:
    """The columns of factors `[n, k]` that vary and have a value that several rows share: int64 `[m]`."""
    counts = [np.unique(column, return_counts=True)[1] for column in factors.T]
    return np.array([k for k, count in enumerate(counts) if len(count) > 1 and count.max() > 1], dtype=np.int64)


def sharing_rows(
    factors: np.ndarray, fixed: np.ndarray, batch: int, rng: np.random.Generator, pairs: bool = False
) -> np.ndarray:
    """Rows int64 `[points, batch]` that share the value of one factor each, from factors `[n, k]`.

    The first of a point is a random row that has a partner, the others are others that share its value. With `pairs`,
    the result is `[points, batch, 2]`: each pair has a first row of its own, and is of two different rows.
    Warns if some rows have a value that no other shares: they are passed over.

    fixed: the column `[points]` whose value is shared.
    """
    rows = np.empty((len(fixed), batch, 2) if pairs else (len(fixed), batch), dtype=np.int64)
    for k in np.unique(fixed):
        here, sharing = fixed == k, Sharing(factors[:, k])
        if alone := len(factors) - len(sharing.partnered):
            warnings.warn(
                f"column {k} of the factors: {alone} of {len(factors)} rows have a value that no other row shares; the "
                "FactorVAE and beta-VAE scores pass over them",
                stacklevel=3,
            )
        first = rng.choice(sharing.partnered, (here.sum(), batch if pairs else 1))  # [some, batch or 1]
        if pairs:
            rows[here] = np.stack([first, sharing.another(rng, first)], axis=-1)
        else:
            rows[here] = np.concatenate([first, sharing.another(rng, np.repeat(first, batch - 1, axis=1))], axis=1)
    return rows


def combinations(factors: np.ndarray) -> tuple[tuple[int, ...], np.ndarray] | None:
    """The numbers of values of factors `[n, k]`, and the row of each combination in row-major order, int64 `[n]`.

    None unless the rows are all combinations, each once.
    """
    numbered = labels(factors)
    sizes = tuple(int(size) for size in numbered.max(axis=0) + 1)
    if not sizes or np.prod(sizes, dtype=np.float64) != len(factors):
        return None
    rows = np.full(len(factors), -1, dtype=np.int64)
    rows[np.ravel_multi_index(numbered.T, sizes)] = np.arange(len(factors))
    return (sizes, rows) if (rows >= 0).all() else None


def step(combination: np.ndarray, sizes: tuple[int, ...], factor: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Numbers of combinations (row-major) with `factor` changed by `by` values, cyclically: int64, same shape."""
    stride = np.append(np.cumprod(sizes[::-1])[-2::-1], 1)[factor]
    size = np.asarray(sizes)[factor]
    value = combination // stride % size
    return combination + ((value + by) % size - value) * stride


def draw_steps(sizes: tuple[int, ...], points: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw pairs of combinations one step apart, as their row-major numbers; the first axis is training and test.

    Returns: for `downstream`, `before`, `after` `[2, points]`, one step of a random varying factor in a random
        direction, and `label` = 2 * (position of the factor among the varying ones) + (1 forwards, 0 backwards); for
        `true_independence`, `start`, `end` `[2, varying, points]`, one step forwards of each varying factor.
    """
    varying = np.flatnonzero(np.asarray(sizes) > 1)
    count = int(np.prod(sizes, dtype=np.int64))
    label = rng.integers(2 * max(len(varying), 1), size=(2, points))
    before = rng.integers(count, size=(2, points))
    after = step(before, sizes, varying[label // 2], 2 * (label % 2) - 1) if len(varying) else before
    start = rng.integers(count, size=(2, len(varying), points))
    factor = np.broadcast_to(varying[:, None], start.shape)
    return {
        "label": label,
        "before": before,
        "after": after,
        "start": start,
        "end": step(start, sizes, factor, np.ones_like(start)),
    }
