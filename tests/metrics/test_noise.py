"""Codes of noise: no score takes few rows or many levels for information, or it says so."""

import re
import warnings
from pathlib import Path

import numpy as np
import pytest

from metrics import evaluate

SCORES = ("val_hig_acc", "fac_eval", "discrete_mig", "modularity_score", "explicitness_score_test", "SAP_score", "IRS")
METRICS = ["beta_vae", "factor_vae", "mig", "modularity", "explicitness", "sap", "irs", "dci"]


def noise(rows: int, levels: int) -> tuple[np.ndarray, np.ndarray]:
    """Six latents of noise, and three factors that are independent of them: `[rows, 6]`, `[rows, 3]`."""
    rng = np.random.default_rng(0)
    factors = rng.integers(0, levels, (rows, 3))
    factors[:levels] = np.arange(levels)[:, None]
    return rng.standard_normal((rows, 6)), factors


def measured(rows: int, levels: int) -> dict[str, float]:
    names = METRICS if levels <= 4 else METRICS[:-1]  # the trees of 400 levels take minutes
    with warnings.catch_warnings(action="ignore"):
        return evaluate(*noise(rows, levels), names, workers=1)


def documented() -> dict[tuple[int, int], dict[str, str]]:
    page = (Path(__file__).resolve().parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    names = re.search(r"^\| rows \| levels \| (.*) \|$", page, re.MULTILINE)[1].replace("`", "").split(" | ")
    rows = re.findall(r"^\| ([\d,]+) rows \| (\d+) \| (.+) \|$", page, re.MULTILINE)
    return {
        (int(n.replace(",", "")), int(levels)): dict(zip(names, cells.split(" | "), strict=True))
        for n, levels, cells in rows
    }


@pytest.mark.parametrize(("rows", "levels"), documented())
def test_scores_of_noise_are_those_of_the_page(rows, levels):
    found = measured(rows, levels)
    for name, cell in documented()[rows, levels].items():
        if cell == "-":
            assert name not in found
        else:
            assert found[name] == pytest.approx(float(cell), abs=6e-3)


@pytest.mark.parametrize(("rows", "levels"), documented())
def test_scores_of_noise_are_near_chance(rows, levels):
    found = measured(rows, levels)
    assert found["val_hig_acc"] < 0.42 and found["fac_eval"] < 0.48  # a third, and the luck of the votes
    assert found["discrete_mig"] < 0.03 and found["SAP_score"] < 0.03
    assert abs(found["explicitness_score_test"] - 0.5) < 0.03
    assert found.get("IRS", 0) < 0.42 and found.get("dci_disentanglement", 0) < 0.03


def test_robustness_with_few_rows_a_level_is_refused_with_the_number_that_it_needs():
    with pytest.warns(UserWarning, match="one of 400 levels needs 20000 rows, and 1000 are used"):
        assert "IRS" not in evaluate(*noise(1000, 400), ["irs"])
    codes, factors = noise(1000, 400)
    factors[:, 0] %= 4
    with pytest.warns(UserWarning, match="leaves out 2 of 3 varying factors"):
        assert 0 < evaluate(codes, factors, ["irs"])["IRS"] < 0.35


def test_without_a_varying_factor_no_score_of_factors_is_1():
    codes = noise(300, 4)[0]
    with pytest.warns(UserWarning, match="no factor varies"):
        found = evaluate(codes, np.ones((300, 2), int), ["factor_vae", "beta_vae"])
    assert (found["fac_eval"], found["fac_train"], found["val_hig_acc"], found["hig_acc"]) == (0, 0, 0, 0)


def test_one_varying_factor_is_told_with_the_scores_that_say_nothing():
    codes, factors = noise(300, 4)
    with pytest.warns(UserWarning, match="one factor varies: fac_eval, fac_train are 1, whatever the code"):
        evaluate(codes, factors * [1, 0, 0], ["factor_vae"])
