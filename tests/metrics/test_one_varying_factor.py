"""Which scores say nothing where one factor varies is as declared."""

import dataclasses
import warnings

import numpy as np

from metrics import PRESETS, SCORES, evaluate

PRESET = dataclasses.replace(PRESETS["fast"], dci_trees=2, factor_train_votes=100, factor_eval_votes=100)


def test_with_one_varying_factor_those_scores_are_the_same_for_every_code_that_are_declared_so():
    rng = np.random.default_rng(0)
    factors = np.stack([np.arange(700) % 7, np.zeros(700, dtype=int)], axis=1)
    level = factors[:, :1].astype(float)
    ideal = np.concatenate([level, 0 * level], axis=1) + 0.01 * rng.standard_normal((700, 2))
    redundant = np.repeat(level, 3, axis=1) + 0.01 * rng.standard_normal((700, 3))
    noise = rng.standard_normal((700, 4))
    with warnings.catch_warnings(action="ignore"):
        found = [evaluate(codes, factors, preset=PRESET, workers=1) for codes in (ideal, redundant, noise)]
    same = {name for name in found[0] if len({round(score[name], 6) for score in found}) == 1}
    assert same == {name for name, score in SCORES.items() if score.least_factors == 2}
    assert {name: round(found[0][name], 6) for name in same} == dict.fromkeys(same, 1)
