"""Every value of the reference, reproduced: deterministic ones to 1e-6, sampled ones within their errors.

Explicitness is an optimum that the reference stops short of: it is reproduced to 1e-4 (see `metrics.explicitness`).
"""

import dataclasses

import metric_cases as cases
import numpy as np
import pytest

from metrics import PRESETS, dci, encode, evaluate, explicitness

ONE_TABLE = ("mig", "sap", "modularity", "explicitness", "unsupervised", "factor_leakage")


@pytest.mark.parametrize("case", cases.CASES)
def test_deterministic_scores_equal_the_reference(case):
    z, factors, z_test, factors_test = cases.tables(case)
    scores = evaluate(z, factors, ONE_TABLE, test=(z_test, factors_test), left_out=[0])
    for name, value in scores.items():
        digits = 1e-4 if name.startswith("explicitness") else 1e-6
        assert value == pytest.approx(cases.EXPECTED[case]["expected"][name], abs=digits), name


@pytest.mark.parametrize("case", ["partial", "rotated"])
def test_explicitness_is_that_of_the_optimum(case):
    """Another solver, started from other arithmetic, comes to the same score."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    z, factors, _, _ = (np.asarray(table, dtype=np.float64) for table in cases.tables(case))
    z, factors = z[::16], factors[::16]
    z = (z - z.mean(0)) / z.std(0)
    areas = []
    for factor in factors.T:
        classifier = LogisticRegression(solver="newton-cg", tol=1e-10).fit(z, factor)
        found = zip(classifier.classes_, classifier.predict_proba(z).T, strict=True)
        areas.append(np.mean([roc_auc_score(factor == value, scores) for value, scores in found]))
    score = explicitness(z, factors, z, factors)["explicitness_score_train"]
    assert score == pytest.approx(np.mean(areas), abs=1e-6)


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
    codes, factors = encode(lambda codes: codes, dataset, batch_size=50_000), cases.all_factors(dataset.factor_sizes)
    runs = [evaluate(codes, factors, ["factor_vae", "beta_vae"], preset=preset, seed=seed) for seed in range(2)]
    for name in runs[0]:
        error = expected[name]["std"] / np.sqrt(2)
        mean = np.mean([run[name] for run in runs])
        assert mean == pytest.approx(expected[name]["mean"], abs=3 * error + 0.01), name


@pytest.mark.slow
@pytest.mark.parametrize("case", cases.CASES)
def test_dci_agrees_with_the_reference(case):
    for name, value in dci(*cases.tables(case)).items():
        expected = cases.EXPECTED[case]["expected"]["dci"][name]
        assert value == pytest.approx(expected["mean"], abs=expected["spread"] + 0.005), name
