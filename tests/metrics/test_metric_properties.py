"""What every metric must say of codes whose answer is known: ideal, independent, moved, constant, broken."""

import dataclasses

import metric_cases as cases
import numpy as np
import pytest
from table_cases import STEPS, TABLES

from metrics import PRESETS, dci, evaluate, mig, score_model, true_independence, udr
from metrics.dci import fit_trees

SIZES = (4, 5, 6)
FACTORS = np.tile(cases.all_factors(SIZES), (10, 1))  # [1200, 3]
PRESET = dataclasses.replace(PRESETS["fast"], factor_batch=16, dci_trees=5)
TREES = ("dci", "downstream")  # break ties at random, so that the order of the latents shows a little

IDEAL = cases.scaled(FACTORS, SIZES)
NOISE = np.random.default_rng(5).standard_normal((len(FACTORS), 4))
MIXED = np.concatenate([IDEAL @ np.linalg.qr(np.random.default_rng(1).standard_normal((3, 3)))[0], 0.3 * NOISE], axis=1)


def score(codes, factors=FACTORS, metrics=TABLES, **settings):
    return evaluate(codes, factors, metrics, **{"preset": PRESET, "workers": 1, **settings})


def score_steps(codes):
    return evaluate(codes, cases.all_factors(SIZES), STEPS, preset=PRESET, workers=1)


def circles():
    """Each factor on a circle in a plane of its own: the code on which every symmetry step is linear and cyclic."""
    angles = 2 * np.pi * cases.all_factors(SIZES) / np.array(SIZES)  # [n, 3]
    return np.concatenate([np.cos(angles), np.sin(angles)], axis=1)  # [n, 6]


@pytest.fixture(scope="module")
def ideal():
    return score(IDEAL)


@pytest.fixture(scope="module")
def independent():
    return score(NOISE)


@pytest.fixture(scope="module")
def mixed():
    return score(MIXED)


@pytest.mark.parametrize(
    ("name", "value", "tolerance"),
    [
        ("fac_eval", 1, 0),
        ("fac_train", 1, 0),
        ("fac_num_act", 3, 0),
        ("hig_acc", 1, 0.01),
        ("val_hig_acc", 1, 0.01),
        ("discrete_mig", 1, 0.05),
        ("discrete_mig_all_factors", 1, 0.05),
        ("dci_disentanglement", 1, 1e-6),
        ("dci_completeness", 1, 1e-6),
        ("dci_informativeness_train", 1, 0),
        ("dci_informativeness_test", 1, 0),
        ("SAP_score", 1, 0.02),
        ("modularity_score", 1, 0.01),
        ("explicitness_score_train", 1, 1e-6),
        ("explicitness_score_test", 1, 1e-6),
        ("gaussian_total_correlation", 0, 0.02),
        ("gaussian_wasserstein_correlation", 0, 0.02),
        ("gaussian_wasserstein_correlation_norm", 0, 0.02),
        ("mutual_info_score", 0, 0.04),
        ("factor_leakage_mean", 0, 0.04),
        ("factor_leakage_norm_mean", 0, 0.03),
        ("factor_leakage_auc", 1 / 9, 0.03),
        ("factor_leakage_nm_auc", 0, 0.03),
        ("IRS", 1, 1e-6),
        ("IRS_unweighted", 1, 1e-6),
    ],
)
def test_ideal_code_scores_its_ideal_value(ideal, name, value, tolerance):
    assert ideal[name] == pytest.approx(value, abs=tolerance)


GUESSING = np.mean([1 / size for size in SIZES])


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("fac_eval", 1 / 3 - 0.08, 1 / 3 + 0.1),
        ("val_hig_acc", 1 / 3 - 0.08, 1 / 3 + 0.08),
        ("discrete_mig", 0, 0.03),
        ("discrete_mig_all_factors", 0, 0.03),
        ("dci_disentanglement", 0, 0.15),
        ("dci_completeness", 0, 0.15),
        ("dci_informativeness_test", GUESSING - 0.07, GUESSING + 0.07),
        ("SAP_score", 0, 0.02),
        ("modularity_score", 0, 0.8),
        ("explicitness_score_test", 0.45, 0.55),
        ("factor_leakage_norm_mean", 0.5, 1),
        ("factor_leakage_auc", 0.5, 1),
        ("factor_leakage_nm_auc", 0.5, 1),
        ("IRS", 0, 0.35),
        ("IRS_unweighted", 0, 0.35),
    ],
)
def test_independent_code_scores_about_the_worst(independent, name, low, high):
    assert low <= independent[name] <= high


def test_dependent_latents_show_in_the_unsupervised_scores(ideal):
    redundant = score(np.concatenate([IDEAL, IDEAL + 0.01 * NOISE[:, :3]], axis=1), metrics=["unsupervised"])
    assert redundant["gaussian_total_correlation"] > 5
    assert redundant["gaussian_wasserstein_correlation_norm"] > 0.3
    assert redundant["mutual_info_score"] > ideal["mutual_info_score"] + 0.2


def test_steps_of_the_ideal_cyclic_code_are_linear_cyclic_and_independent():
    scores = score_steps(circles())
    assert scores["independence_score"] == pytest.approx(1, abs=1e-6)
    assert scores["cyclic_order_error"] == pytest.approx(0, abs=1e-6)
    assert scores["symmetry_code_error"] == pytest.approx(0, abs=1e-6)
    assert scores["downstream_rep"] > 0.7  # of 6 classes, from 300 pairs


def test_steps_of_independent_codes_look_all_alike():
    scores = score_steps(NOISE[: np.prod(SIZES)])
    assert scores["independence_score"] < 0.2
    assert scores["symmetry_code_error"] > 0.4
    assert scores["downstream_rep"] < 0.7  # pairs for testing are others than those trained on, but for a few
    repeated = score_steps(np.random.default_rng(0).standard_normal((np.prod(SIZES), 1)) * 0 + 1.0)
    assert repeated["downstream_rep"] < 0.3


def test_latents_that_do_not_vary_at_all_share_a_vote_of_the_factor_vae_score():
    factors = np.tile(cases.all_factors((2, 2)), (50, 1))
    codes = np.stack([factors[:, 0], factors[:, 0] * factors[:, 1]], axis=1)
    # Constant are: both latents while the first factor is 0; the first while it is 1; the second while the other factor
    # is 0; none while that is 1, and the first varies less. So the first gets 3/4 of the votes, then 1/2.
    found, turned = (score(codes[:, order], factors, ["factor_vae"]) for order in ([0, 1], [1, 0]))
    assert turned == found
    assert found["fac_eval"] == pytest.approx((3 / 4 + 1 / 2) / 2, abs=0.05)


def test_constant_latents_alone_have_defined_scores():
    scores = score(np.ones((len(FACTORS), 3)))
    assert all(np.isfinite(value) for value in scores.values())
    zero = ("fac_eval", "fac_num_act", "discrete_mig", "SAP_score", "modularity_score", "mutual_info_score", "IRS")
    assert all(scores[name] == 0 for name in (*zero, "dci_disentanglement", "gaussian_total_correlation"))
    assert scores["explicitness_score_test"] == 0.5
    steps = score_steps(np.ones((np.prod(SIZES), 3)))
    assert steps["independence_score"] == 0
    assert steps["symmetry_code_error"] == steps["cyclic_order_error"] == 1


@pytest.mark.parametrize("name", TABLES)
def test_constant_factors_alone_and_a_single_latent_have_defined_scores(name):
    assert all(np.isfinite(value) for value in score(IDEAL, np.zeros_like(FACTORS), [name]).values())
    assert all(np.isfinite(value) for value in score(IDEAL[:, :1], FACTORS[:, :2], [name]).values())


def test_scores_without_a_varying_factor_are_those_documented():
    names = ["mig", "sap", "modularity", "explicitness", "dci"]
    found = score(IDEAL, np.zeros_like(FACTORS), names)
    values = {"explicitness_score_train": 0.5, "explicitness_score_test": 0.5}
    values |= {name: 1.0 for name in found if "informativeness" in name}
    assert found == {**dict.fromkeys(found, 0.0), **values}
    still = score_model(lambda z: z, None, cases.CodesAsImages((1, 1), np.ones((1, 2))), ["downstream"], preset=PRESET)
    assert still.values["downstream_rep"] == 1


def test_udr_is_one_for_equal_runs_low_for_unlike_ones_and_refuses_nan():
    many = np.random.default_rng(0).standard_normal((20_000, 3))
    turned = many[:, [2, 0, 1]] * np.array([-2.0, 3.0, 0.5])
    assert udr([many, turned])["UDR"] == pytest.approx(1, abs=0.05)
    assert udr([many, many @ np.linalg.qr(NOISE[:3, :3])[0]])["UDR"] < 0.8
    assert udr([many, np.random.default_rng(1).standard_normal((20_000, 3))])["UDR"] < 0.05
    assert udr([many, np.zeros((20_000, 3))])["UDR"] == 0
    with pytest.raises(ValueError, match="NaN"):
        udr([many, np.full((20_000, 3), np.nan)])
    with pytest.raises(ValueError, match="at least two"):
        udr([many])


def test_scores_do_not_change_with_the_order_of_the_latents(mixed):
    order = [4, 2, 6, 0, 3, 1, 5]
    moved = score(MIXED[:, order])
    for name in mixed:
        tolerance = 0.06 if name.startswith(TREES) else 1e-4
        assert moved[name] == pytest.approx(mixed[name], abs=tolerance), name


def test_a_constant_factor_changes_no_score(mixed):
    constant = np.concatenate([FACTORS, np.full((len(FACTORS), 1), 3)], axis=1)
    assert score(MIXED, constant) == mixed
    steps, factors = circles(), cases.all_factors(SIZES)
    with_constant = np.concatenate([np.zeros((len(factors), 1)), factors], axis=1)
    found, expected = (evaluate(steps, f, STEPS, preset=PRESET, workers=1) for f in (with_constant, factors))
    assert found == expected


def test_steps_need_every_combination_and_a_shuffled_complete_table_will_do():
    codes, factors = circles(), cases.all_factors(SIZES)
    shuffled = np.random.default_rng(2).permutation(len(codes))
    scores = score(codes[shuffled], factors[shuffled], ["true_independence"])
    assert scores["symmetry_code_error"] == pytest.approx(0, abs=1e-6)
    for z, f in ((codes[:-1], factors[:-1]), (codes, np.concatenate([factors[:-1], factors[:1]]))):
        with pytest.raises(ValueError, match="every combination of the factors exactly once"):
            score(z, f, ["true_independence"])


def test_steps_of_a_code_that_is_zero_for_all_test_pairs_have_finite_scores():
    before, after = np.array([[[0.0], [1.0]]]), np.array([[[1.0], [0.0]]])
    found = true_independence(before, after, 0 * before, 0 * after, [6])
    assert found == {"independence_score": 0, "cyclic_order_error": 1, "symmetry_code_error": 1}


def test_a_decoder_gives_reconstruction_and_image_errors():
    codes = circles()
    dataset = cases.CodesAsImages(SIZES, np.concatenate([codes, np.full((len(codes), 1), 5.0)], axis=1))  # one is dead
    names = ["reconstruction", "true_independence"]
    perfect = score_model(lambda x: x, lambda z: z, dataset, names, preset=PRESET).values
    assert perfect["reconstruction_error"] == pytest.approx(0, abs=1e-9)
    assert perfect["symmetry_image_error"] == pytest.approx(0, abs=1e-9)
    off = score_model(lambda x: x, lambda z: z + 0.5, dataset, names, preset=PRESET).values
    assert off["reconstruction_error"] == pytest.approx(7 * 0.25)
    assert off["symmetry_image_error"] == pytest.approx(0.25)


@pytest.mark.parametrize("sizes", [(4, 5), (3, 9), (3, 3, 3)])
def test_rounding_errors_of_trees_that_learn_nothing_are_no_importance(sizes):
    factors = cases.all_factors(sizes)
    codes = factors[:, :1].astype(float)
    importance, *_ = fit_trees(codes, factors, codes, factors, trees=5)
    np.testing.assert_allclose(importance, np.eye(len(sizes))[:1], atol=1e-12)


@pytest.mark.slow
def test_trees_in_parallel_give_unchanged_results():
    tables = MIXED, FACTORS, MIXED, FACTORS
    one, two = (fit_trees(*tables, trees=5, workers=workers, worth_processes=0) for workers in (1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


def test_matrices_have_each_latent_and_factor_in_its_place():
    first = np.zeros((len(FACTORS), 1))  # a dead latent, and a constant factor
    codes, factors = np.concatenate([first, IDEAL], axis=1), np.concatenate([first, FACTORS], axis=1)
    found = evaluate(codes, factors, ["mig", "dci"], preset=dataclasses.replace(PRESET, dci_trees=2)).matrices
    assert found["importance"] == pytest.approx(np.diag([0.0, 1, 1, 1]), abs=1e-6)
    information = found["mutual_information"]
    assert np.diag(information) == pytest.approx(np.log([1, *SIZES]), abs=0.05)
    assert information[~np.eye(4, dtype=bool)] == pytest.approx(0, abs=0.1)


def test_more_trees_fit_the_training_points_of_noise_alone():
    tables = NOISE[:500], FACTORS[:500], NOISE[500:], FACTORS[500:]
    few, many = (dci(*tables, trees=trees) for trees in (1, 12))
    assert many["dci_informativeness_train"] > few["dci_informativeness_train"] + 0.1
    assert max(abs(found["dci_informativeness_test"] - GUESSING) for found in (few, many)) < 0.1


def test_functions_alone_check_their_tables():
    with pytest.raises(ValueError, match="codes and factors: 1199 and 1200 rows"):
        mig(IDEAL[:-1], FACTORS)
