"""Rotations of two latents: a rotated code regains its MIG, noise and shuffled factors gain little."""

import metric_cases as cases
import numpy as np
import pytest

from metrics.rotations import aligned, rotated, rotations

SIZES = (5, 6, 7)
FACTORS = np.tile(cases.all_factors(SIZES), (5, 1))  # [1050, 3]
CODES = cases.scaled(FACTORS, SIZES) + 0.05 * np.random.default_rng(0).standard_normal(FACTORS.shape)


@pytest.fixture(scope="module")
def found():
    return rotations(rotated(CODES, 0, 2, 30), FACTORS)


def test_a_rotated_code_regains_its_mig(found):
    assert found["mig_before"] < 0.6 and found["mig_after"] > 0.9
    assert found["mig_gain"] == pytest.approx(found["mig_after"] - found["mig_before"])


def test_shuffled_factors_and_noise_gain_little(found):
    assert 0 <= found["mig_gain_shuffled"] < 0.05 and 0 <= found["mig_gain_noise"] < 0.05


def test_the_rotation_that_was_made_is_found():
    turned, made = aligned(rotated(CODES, 0, 2, 30), FACTORS, most=1)
    assert made == [(0, 2, -30)]
    np.testing.assert_allclose(turned, CODES, atol=1e-12)


def test_nothing_is_rotated_where_each_factor_has_its_latent():
    turned, made = aligned(CODES, FACTORS)
    assert made == [] and (turned == CODES).all()
