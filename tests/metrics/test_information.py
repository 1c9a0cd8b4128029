"""The matrices that are drawn show information, not what a few points or trees have by chance."""

import metric_cases as cases
import numpy as np

from metrics import evaluate, score_model
from metrics.mig import information_beyond_chance


def test_information_of_noise_is_near_0_and_of_a_copy_near_the_entropy():
    rng = np.random.default_rng(0)
    factors = np.stack([rng.integers(0, 40, 10_000), rng.integers(0, 3, 10_000)], axis=1)
    codes = np.stack([rng.standard_normal(10_000), factors[:, 0], factors[:, 1]], axis=1)
    found = information_beyond_chance(codes, factors)
    assert found.shape == (3, 2)
    assert found[0].max() < 0.02 and found[1, 1] < 0.02 and found[2, 0] < 0.02
    assert abs(found[2, 1] - np.log(3)) < 0.01 and found[1, 0] > 2.8  # 20 bins: log(20) is 3.0


def test_importance_is_that_beyond_guessing():
    rng = np.random.default_rng(0)
    factors = rng.integers(0, 4, (1000, 2))
    codes = np.stack([factors[:, 0], rng.standard_normal(1000)], axis=1)
    found = evaluate(codes, factors, ["dci"], preset="fast", workers=1).matrices["importance"]
    assert found[0, 0] > 0.99 and found[1, 0] < 0.01 and found[:, 1].max() < 0.1


def test_latents_that_are_not_in_use_are_marked():
    factors = cases.all_factors((5, 6, 7))
    codes = factors * [1, 0.01, 1]
    found = score_model(lambda z: z, None, cases.CodesAsImages((5, 6, 7), codes), ["mig", "dci"], preset="fast")
    assert found.matrices.keys() == {"mutual_information", "importance"}
    for values in found.matrices.values():
        assert np.isnan(values[1]).all() and np.isfinite(values[[0, 2]]).all()
