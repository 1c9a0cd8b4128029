"""A standard error from one table is the spread over independent tables."""

import dataclasses
import re
import tracemalloc

import metric_cases as cases
import numpy as np
import pytest

from metrics import METRICS, PRESETS, evaluate

SIZES = (4, 5)
ROWS = 300
VOTES = {"factor_batch": 16, "factor_train_votes": 500, "factor_eval_votes": 500, "beta_points": 300}
PRESET = dataclasses.replace(PRESETS["fast"], dci_trees=2, **VOTES)
NAMES = [
    name for name, metric in METRICS.items() if not {"steps", "decoder", "runs"} & set(metric.needs) and name != "dci"
]


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
    for name in scores[0]:
        spread = np.std([found[name] for found in scores], ddof=1)
        error = np.sqrt(np.mean([found[f"{name}_se"] ** 2 for found in errors]))
        if spread > 1e-3 and not 0.5 < error / spread < 2:
            wrong[name] = (round(spread, 4), round(error, 4))
    assert not wrong


def test_one_progress_bar_counts_the_scores_of_all_resamplings(capsys):
    evaluate(*independent_table(0), ["sap", "mig"], bootstrap=4, progress=True)
    assert set(re.findall(r"\d+/(\d+) ", capsys.readouterr().err)) == {"10"}


def test_a_standard_error_has_the_units_of_its_score():
    codes, factors = independent_table(0)
    squared = "gaussian_wasserstein_correlation_se"
    base = evaluate(codes, factors, ["unsupervised"], bootstrap=3)[squared]
    for scale in (1e-100, 1e100):
        assert evaluate(scale * codes, factors, ["unsupervised"], bootstrap=3)[squared] == pytest.approx(
            scale * scale * base, rel=1e-6
        )


def test_memory_does_not_grow_with_the_number_of_resamplings():
    peaks = []
    for bootstrap in (2, 20):
        tracemalloc.start()
        evaluate(*independent_table(0), ["factor_vae"], preset=PRESET, bootstrap=bootstrap)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


def test_fewer_factors_may_vary_in_a_resampling():
    factors = cases.all_factors((2, 3))
    scores = evaluate(factors.astype(float), factors, ["true_independence", "downstream"], preset=PRESET, bootstrap=20)
    assert np.isfinite(list(scores.values())).all()
