"""A table of factors and one of codes, cheap settings, and the scores that other forms of the tables are held to."""

import dataclasses
import functools

import metric_cases as cases
import numpy as np
import pytest

from metrics import METRICS, PRESETS, SCORES, evaluate

SIZES = (4, 5, 6)
FACTORS = np.tile(cases.all_factors(SIZES), (3, 1))  # [360, 3]
RNG = np.random.default_rng(0)
ROTATION = np.linalg.qr(RNG.standard_normal((3, 3)))[0]
CODES = cases.scaled(FACTORS, SIZES) @ ROTATION + 0.3 * RNG.standard_normal((len(FACTORS), 3))
PRESET = dataclasses.replace(
    PRESETS["fast"], factor_batch=8, dci_trees=2, forest_trees=5, factor_train_votes=200, factor_eval_votes=200
)
TABLES = [name for name, metric in METRICS.items() if metric.needs in ("", "factors")]
STEPS = [name for name, metric in METRICS.items() if metric.needs == "steps"]
CHEAP = [name for name in TABLES if name not in ("dci", "explicitness")]
SQUARED = "gaussian_wasserstein_correlation"  # in squared units of the code
COMMON_SCALE = {"IRS", "gaussian_wasserstein_correlation_norm"}  # invariant to one scale of all latents only
ACTIVE = {"fac_eval", "fac_train", "fac_num_act"}  # count latents of a deviation of 0.1 or more
DILUTED = {name for name in SCORES if "completeness" in name or name.startswith("factor_leakage")}
DILUTED |= {"modularity_score", "mutual_info_score"}


def score(codes, factors=FACTORS, metrics=TABLES, **more):
    return evaluate(codes, factors, metrics, preset=PRESET, workers=1, **more)


def assert_equal(found, expected, but=(), tolerance=1e-6):
    differing = {
        name: (expected[name], value)
        for name, value in found.items()
        if name not in but and value != pytest.approx(expected[name], abs=tolerance)
    }
    assert not differing


@functools.cache
def base() -> dict[str, float]:
    """The scores of CODES. Not taken at import, which every process of tests pays."""
    return score(CODES)
