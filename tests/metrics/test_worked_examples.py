"""Scores that lie between the best and the worst, worked out by hand on small tables."""

import dataclasses

import metric_cases as cases
import numpy as np
import pytest

from metrics import PRESETS, evaluate, score_model, udr
from metrics.dci import completeness, disentanglement
from metrics.true_independence import independence


def test_dci_weighs_latents_and_factors_by_their_importance():
    importance = np.array([[3.0, 0.0], [1.0, 1.0]])
    # Latent 0, of weight 3, has one factor (1); latent 1, of weight 2, both equally (0).
    assert disentanglement(importance) == pytest.approx(3 / 5)
    # Factor 0, of weight 4, is shared by the latents as 3/4 and 1/4; factor 1, of weight 1, has one latent.
    shared = 1 + 0.75 * np.log2(0.75) + 0.25 * np.log2(0.25)
    assert completeness(importance) == pytest.approx((4 * shared + 1) / 5)
    # The entropy of three factors is in units of log 3, and that of a single one is 0.
    assert disentanglement(np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 2.0]])) == pytest.approx(1 - np.log(2) / np.log(3) / 2)
    assert disentanglement(np.ones((3, 1))) == pytest.approx(1)


def test_mig_and_sap_of_a_latent_with_a_runner_up_and_of_one_alone():
    factor = np.arange(8) % 4
    codes = np.stack([factor // 2, factor, np.zeros(8)], axis=1)  # one bit, two bits, nothing
    found = evaluate(codes, factor[:, None], ["mig", "sap"])
    assert found["discrete_mig_all_factors"] == pytest.approx(1 / 2)
    assert found["SAP_score"] == pytest.approx(1 - 0.5**2 / (1.25 * 0.25))  # covariance 1/2, variances 5/4 and 1/4
    alone = evaluate(codes[:, 1:2], factor[:, None], ["mig", "sap"])
    assert alone["discrete_mig_all_factors"] == pytest.approx(1) and alone["SAP_score"] == pytest.approx(1)


def test_modularity_compares_squared_informations_and_a_dead_latent_has_none():
    factors = np.tile(cases.all_factors((4, 2, 2)), (2, 1))
    codes = np.stack([factors[:, 0] + 4 * factors[:, 1], factors[:, 2], np.zeros(32)], axis=1)
    # Latent 0 holds two bits and one bit of two of the three factors.
    assert evaluate(codes, factors, ["modularity"])["modularity_score"] == pytest.approx((1 - 1 / 4 / 2 + 1 + 0) / 3)


@pytest.mark.parametrize("sizes", [(9, 10, 3), (7, 11, 12), (4, 4, 4)])
def test_a_latent_that_is_independent_of_every_factor_has_no_information_at_all(sizes):
    combinations = cases.all_factors(sizes)
    codes, factors = combinations.astype(float), combinations[:, :2]  # what the third latent holds is no factor
    found = evaluate(codes[:, 2:], factors, ["mig", "modularity", "factor_leakage"])
    assert set(found.values()) == {0.0}
    assert evaluate(codes, factors, ["modularity"])["modularity_score"] == pytest.approx(2 / 3)


def test_what_many_latents_of_noise_fit_by_chance_is_no_score():
    rng = np.random.default_rng(0)
    preset = dataclasses.replace(
        PRESETS["fast"], factor_train_votes=150, factor_eval_votes=600, factor_batch=8, beta_points=150
    )
    codes, factors = rng.standard_normal((2_000, 200)), rng.integers(0, 3, (2_000, 3))
    found = evaluate(codes, factors, ["factor_vae", "beta_vae"], preset=preset)
    assert found["fac_train"] > 0.6 and found["hig_acc"] == 1
    assert max(abs(found[name] - 1 / 3) for name in ("fac_eval", "val_hig_acc")) < 0.2


def test_irs_weighs_values_by_their_rows_and_latents_by_their_deviation():
    factor = np.repeat([0, 1], [201, 67])
    place = np.where(factor == 0, -100.0, 300.0)  # of mean 0
    spread = np.concatenate([np.arange(-100, 101), np.zeros(67)])  # its 0.99 quantile among the 201 rows is 99
    found = evaluate(np.stack([place + spread, place / 2], axis=1), factor[:, None], ["irs"])
    robustness = 1 - (201 / 268) * 99 / 300
    assert found["IRS"] == pytest.approx((300 * robustness + 150 * 1) / 450)
    assert found["IRS_unweighted"] == pytest.approx((robustness + 1) / 2)


def test_udr_is_the_mean_over_runs_of_the_median_over_the_others():
    a, b = np.array([0.0, 0, 1, 1]), np.array([0.0, 1, 0, 1])  # of rank correlation 0
    both, copies = np.stack([a, b], axis=1), np.stack([a, a], axis=1)
    # Of the four latents of such a pair, the copies have one counterpart each (1), a has two (1/2), b none (0).
    assert udr([both, copies])["UDR"] == pytest.approx(2.5 / 4)
    found = udr([both, copies, both, both])
    assert [found[f"UDR_run_{i}"] for i in range(4)] == pytest.approx([1, 0.625, 1, 1])
    assert found["UDR"] == pytest.approx((3 + 0.625) / 4)
    swapped = [np.array(order)[:, None] for order in ([1.0, 2, 3, 4], [1.0, 2, 4, 3])]  # of rank correlation 4/5
    assert udr(swapped)["UDR"] == pytest.approx(4 / 5)
    faint = np.concatenate([both, np.stack([0.17 * a, b * 0.18], axis=1)], axis=1)  # deviations 0.098 and 0.104
    assert udr([both, faint])["UDR"] == pytest.approx((3 + 1 + 1 / 2) / 5)


def test_the_udr_of_a_run_does_not_depend_on_the_order_of_the_runs():
    rng = np.random.default_rng(0)
    runs = [rng.standard_normal((300, 2)) @ rng.standard_normal((2, d)) for d in (2, 3, 5)]
    found, turned = udr(runs), udr(runs[::-1])
    assert [turned[f"UDR_run_{i}"] for i in (2, 1, 0)] == pytest.approx([found[f"UDR_run_{i}"] for i in range(3)])


def test_independence_is_one_less_the_largest_cosine_with_the_step_of_another_factor():
    along_x, along_y = np.diag([2.0, 1.0]), np.diag([1.0, 2.0])
    between, nowhere = np.array([[2.0, 0.0], [1.0, 1.0]]), np.eye(2)
    z = np.array([[1.0, 1.0]])  # moved by (1, 0), (0, 1), (1, 1) and not at all
    assert independence(np.stack([along_x, along_y]), z) == pytest.approx(1)
    assert independence(np.stack([along_x, along_y, between]), z) == pytest.approx(1 - np.sqrt(0.5))
    assert independence(np.stack([along_x, nowhere]), z) == pytest.approx(0.5)


def test_errors_of_a_step_that_is_not_linear():
    # From 1 to 3 and from 3 to 1: the least squares give 0.6; two steps give 0.36 z, an error of 0.64 z; half of the
    # pairs are each, so that one step has a squared error of (2.4^2 + 0.8^2) / 2, and no step one of 4.
    dataset = cases.CodesAsImages((2,), np.array([[10.0], [30.0]]))
    found = score_model(lambda z: z, None, dataset, ["true_independence"]).values
    assert found["cyclic_order_error"] == pytest.approx(0.64**2, abs=0.08)
    assert found["symmetry_code_error"] == pytest.approx(0.8, abs=0.08)
