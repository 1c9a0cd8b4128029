"""A standard error from one table is the spread over independent tables."""

import dataclasses

import metric_cases as cases
import numpy as np
import pytest

from metrics import METRICS, PRESETS, evaluate

SIZES = (4, 5)
ROWS = 300
VOTES = {"factor_batch": 16, "factor_train_votes": 500, "factor_eval_votes": 500, "beta_points": 300}
PRESET = dataclasses.replace(PRESETS["fast"], dci_trees=2, **VOTES)
NAMES = [name for name, metric in METRICS.items() if metric.needs in ("", "factors") and name != "dci"]


def independent_table(seed):
    rng = np.random.default_rng(seed)
    factors = rng.integers(0, SIZES, (ROWS, 2))
    mixed = cases.scaled(factors, SIZES) @ np.array([[1.0, 0.5], [0.3, 1.0]])
    return mixed + 0.6 * rng.standard_normal((ROWS, 2)), factors


@pytest.mark.slow
def test_standard_errors_are_the_spread_over_independent_tables():
    tables = [independent_table(seed) for seed in range(40)]
    scores = [evaluate(*table, NAMES, preset=PRESET, workers=1, seed=n) for n, table in enumerate(tables)]
    errors = [evaluate(*table, NAMES, preset=PRESET, workers=1, bootstrap=20) for table in tables[:4]]
    wrong = {}
    for name in [name for name in scores[0] if f"{name}_se" in errors[0]]:
        spread = np.std([found[name] for found in scores], ddof=1)
        error = np.sqrt(np.mean([found[f"{name}_se"] ** 2 for found in errors]))
        if spread > 1e-3 and not 0.5 < error / spread < 2:
            wrong[name] = (round(spread, 4), round(error, 4))
    assert not wrong


def test_standard_errors_shrink_with_the_number_of_points():
    rng = np.random.default_rng(0)
    factors = rng.integers(0, SIZES, (4000, 2))
    codes = cases.scaled(factors, SIZES) + rng.standard_normal((4000, 2))
    presets = [dataclasses.replace(PRESET, train_points=n) for n in (200, 2000)]
    few, many = (evaluate(codes, factors, ["sap"], preset=p, bootstrap=30)["SAP_score_se"] for p in presets)
    assert few / many == pytest.approx(10**0.5, rel=0.5)


def test_steps_have_standard_errors():
    factors = cases.all_factors((2, 3))
    scores = evaluate(factors.astype(float), factors, ["true_independence", "downstream"], preset=PRESET, bootstrap=3)
    assert np.isfinite(list(scores.values())).all() and scores["downstream_rep_se"] > 0
