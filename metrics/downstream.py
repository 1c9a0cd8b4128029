"""Downstream task: predict the symmetry step between two codes."""

from __future__ import annotations

import numpy as np

from metrics.inputs import for_trees
from metrics.metric import SYMMETRY, Metric, Score
from metrics.presets import Preset

TREES, DEPTH = 100, 15


def draw(source, preset: Preset, rng: np.random.Generator) -> dict:
    """Draw random pairs of samples one step apart for training, and as many for testing.

    Returns: for each split (`train`, `test`), `<split>_before`, `<split>_after`, `<split>_label`, `[step_points]` each.
        label = 2 * (position of the changed factor among the varying ones) + (1 forwards, 0 backwards).
    """
    drawn = {}
    for split in ("train", "test"):
        label = rng.integers(2 * max(len(source.varying), 1), size=preset.step_points)  # [step_points]
        before = source.random(rng, label.shape)
        drawn[f"{split}_label"], drawn[f"{split}_before"], drawn[f"{split}_after"] = label, before, before
        if len(source.varying):
            drawn[f"{split}_after"] = source.step(before, source.varying[label // 2], 2 * (label % 2) - 1)
    return drawn


def score(codes, drawn: dict, *, seed: int = 0, workers: int | None = None) -> dict[str, float]:
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
    """
    from sklearn.ensemble import RandomForestClassifier

    pairs = {
        split: np.concatenate([codes(drawn[f"{split}_before"]), codes(drawn[f"{split}_after"])], axis=1)
        for split in ("train", "test")
    }  # [points, 2 d] each
    if (drawn["train_before"] == drawn["train_after"]).all():  # no factor varies
        return {"downstream_rep": 1.0}
    train, test, _ = for_trees(pairs["train"], pairs["test"])  # [points, 2 active] each
    forest = RandomForestClassifier(TREES, max_depth=DEPTH, random_state=seed, n_jobs=workers)
    forest.fit(train, drawn["train_label"])
    return {"downstream_rep": float(forest.score(test, drawn["test_label"]))}


METRIC = Metric(
    "downstream",
    "downstream: a forest predicts from a pair of codes which factor changed, and in which direction",
    SYMMETRY,
    (
        Score(
            "downstream_rep",
            "downstream steps",
            "can a forest predict the step between two codes? guessing gives 1 / 2k; more training pairs raise it",
        ),
    ),
    lambda request: score(request.codes, request.drawn, seed=request.seed, workers=request.workers),
    draw,
    on_tables=False,
    needs=("factors", "steps"),
)
