"""Every value of the reference, reproduced: deterministic ones to 1e-6, sampled ones within their errors."""

import dataclasses

import metric_cases as cases
import numpy as np
import pytest

from metrics import PRESETS, evaluate

ONE_TABLE = ("mig", "sap", "modularity", "explicitness", "unsupervised", "factor_leakage")


@pytest.mark.parametrize("case", cases.CASES)
def test_deterministic_scores_equal_the_reference(case):
    z, factors, z_test, factors_test = cases.tables(case)
    scores = evaluate(z, factors, ONE_TABLE, test=(z_test, factors_test))
    for name, value in scores.items():
        assert value == pytest.approx(cases.EXPECTED[case]["expected"][name], abs=1e-6), name


@pytest.mark.parametrize("case", cases.CASES)
def test_sampled_scores_agree_with_the_reference(case):
    expected = cases.EXPECTED[case]["sampled"]
    factor, beta = expected["settings"]["factor_vae"], expected["settings"]["beta_vae"]
    preset = dataclasses.replace(
        PRESETS["full"],
        factor_train_votes=factor["num_train"],
        factor_eval_votes=factor["num_eval"],
        factor_batch=factor["batch"],
        factor_variance_points=factor["n_var_est"],
        beta_points=beta["num_points"],
        beta_batch=beta["batch"],
    )
    dataset = cases.reference_dataset(case)
    runs = [
        evaluate(lambda codes: codes, dataset, ["factor_vae", "beta_vae"], preset=preset, seed=seed, batch_size=50_000)
        for seed in range(4)
    ]
    for name in runs[0]:
        error = expected[name]["std"] / np.sqrt(4)
        mean = np.mean([run[name] for run in runs])
        assert mean == pytest.approx(expected[name]["mean"], abs=3 * error + 0.01), name


def test_dci_agrees_with_the_reference():
    # The case with the fewest classes; `python -m benchmarks.metrics --check-dci` checks all three in some minutes.
    scores = evaluate(*cases.tables("partial")[:2], ["dci"], test=cases.tables("partial")[2:])
    for name, value in scores.items():
        expected = cases.EXPECTED["partial"]["expected"]["dci"][name]
        assert value == pytest.approx(expected["mean"], abs=expected["spread"] + 0.005), name
