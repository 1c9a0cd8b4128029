"""The picture of mutual information shows information, not the bias of the estimate."""

import numpy as np

from metrics.model_scores import _shown, information


def test_information_of_noise_is_near_0_and_of_a_copy_near_the_entropy():
    rng = np.random.default_rng(0)
    factors = np.stack([rng.integers(0, 40, 10_000), rng.integers(0, 3, 10_000)], axis=1)
    codes = np.stack([rng.standard_normal(10_000), factors[:, 0], factors[:, 1]], axis=1)
    found = information(codes, factors)
    assert found.shape == (3, 2)
    assert found[0].max() < 0.02 and found[1, 1] < 0.02 and found[2, 0] < 0.02
    assert abs(found[2, 1] - np.log(3)) < 0.01 and found[1, 0] > 2.8  # 20 bins: log(20) is 3.0


def test_latents_that_are_not_in_use_are_marked():
    rng = np.random.default_rng(0)
    codes = rng.standard_normal((1000, 3)) * [1, 0.05, 1]
    shown = _shown(
        {"importance": np.full((3, 2), 0.1), "mutual_information": np.ones((3, 2))},
        {"codes": codes, "factors": rng.integers(0, 3, (1000, 2))},
    )
    for values in shown.values():
        assert np.isnan(values[1]).all() and np.isfinite(values[[0, 2]]).all()
    assert shown["mutual_information"][0].max() < 0.05
