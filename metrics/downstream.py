"""Downstream task: predict the symmetry step between two codes."""

from __future__ import annotations

import numpy as np

from metrics.checks import check_codes, for_trees


def downstream(
    before,
    after,
    label: np.ndarray,
    before_test,
    after_test,
    label_test: np.ndarray,
    *,
    trees: int = 100,
    depth: int = 15,
    random_state: int = 0,
    workers: int | None = None,
) -> dict[str, float]:
    """Can a classifier predict from a pair of codes which factor changed, and in which direction?

    1. A pair: a random sample, and the sample with a random varying factor changed by one value (cyclically) in a
       random direction.
    2. A random forest (100 trees, depth at most 15) on the concatenated codes `[z, z']` predicts one of 2k classes.
    3. `downstream_rep`: accuracy on as many fresh pairs as it was trained on (1,000).

    Range [0, 1]; ideal 1 in the limit of many pairs (about 0.5 for five factors and 1,000 pairs); an uninformative code
    1 / 2k. For a factor with two values, both directions give the same pair, so at most half of its predictions are
    right. Constant factors are not used; with none left the score is 1. Invariant to scale and offset of each latent,
    and to dead latents.

    Source: Painter, Hare & Pruegel-Bennett 2020 (downstream evaluation of the symmetry actions); forest as the
    reference logs it.

    before, after: codes `[n, d]` before and after each step. label: which step `[n]`, such as
    2 * factor + (1 if forwards). The same `_test`, for fresh pairs.

    Example:
        >>> label = np.random.default_rng(0).integers(0, 2, 1000)
        >>> downstream(0 * label[:, None], label[:, None], label, 0 * label[:, None], label[:, None], label)
        {'downstream_rep': 1.0}
    """
    from sklearn.ensemble import RandomForestClassifier

    pairs = [
        np.concatenate([check_codes(first), check_codes(second)], axis=1)
        for first, second in ((before, after), (before_test, after_test))
    ]  # [n, 2 d] each
    train, test, _ = for_trees(*pairs)  # [n, 2 active] each
    forest = RandomForestClassifier(trees, max_depth=depth, random_state=random_state, n_jobs=workers)
    forest.fit(train, label)
    return {"downstream_rep": float(forest.score(test, label_test))}
