"""Whatever levels a table of factors has, its scores are right or it is refused."""

import numpy as np
import pytest
from table_cases import CHEAP, CODES, FACTORS, assert_equal, score

from metrics import evaluate, mig
from system.errors import UserError


def levels(rows, count):
    """Random values of one factor, `[rows]`, from `count` levels that are no whole numbers."""
    return np.random.default_rng(1).permutation(np.arange(rows) % count) * 0.3 + 0.1


@pytest.mark.parametrize("names", [["dci"], ["explicitness"], CHEAP])
def test_levels_that_are_no_whole_numbers_are_classes(names):
    values = FACTORS * np.array([0.15789474, 0.5, 1e-9]) + np.array([0.5, 0.0, 1.0])
    assert_equal(score(CODES, values, names), score(CODES, metrics=names))


def test_levels_of_the_test_set_that_the_training_set_lacks_are_never_predicted():
    train = FACTORS[:, 0] < 3
    found = score(CODES[train], FACTORS[train] * 0.5, ["dci"], test=(CODES[~train], FACTORS[~train] * 0.5))
    assert found["dci_informativeness_test"] <= 2 / 3


def test_a_test_set_may_lack_levels_of_the_training_set():
    some = FACTORS[:, 0] > 1
    found = score(FACTORS, FACTORS, ["dci", "explicitness"], test=(FACTORS[some], FACTORS[some]))
    assert found["dci_informativeness_test"] == 1
    assert found["explicitness_score_test"] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(("rows", "column"), [(60, 0), (500, 1), (5000, 2)])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_continuous_factors_are_refused_by_name_with_the_remedy(rows, column, kind):
    import pandas

    rng = np.random.default_rng(0)
    factors = rng.integers(0, 4, (rows, 3)).astype(kind)
    factors[:, column] = rng.uniform(0, 1, rows)
    with pytest.raises(UserError, match=rf"column {column} is continuous.*distinct values in {rows} rows.*pandas.cut"):
        mig(factors, factors)
    names = ["width" if k == column else str(k) for k in range(3)]
    with pytest.raises(UserError, match="column width is continuous"):
        mig(factors, pandas.DataFrame(factors, columns=names))
    factors[:, column] = pandas.cut(factors[:, column], 5, labels=False)
    assert mig(factors, factors)["discrete_mig"] > 0.8


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_factor_that_is_zero_or_continuous_is_continuous(share):
    rng = np.random.default_rng(0)
    factor = np.where(rng.uniform(size=1000) < share, 0.0, rng.uniform(size=1000))
    with pytest.raises(UserError, match="column 0 is continuous"):
        evaluate(np.zeros((1000, 2)), factor[:, None], ["mig"])


@pytest.mark.parametrize("count", [2, 3, 40, 300, 500])
def test_a_factor_with_two_rows_a_level_or_more_is_not_continuous(count):
    assert evaluate(np.zeros((1000, 1)), levels(1000, count)[:, None], ["mig"]) is not None


@pytest.mark.parametrize("count", [2, 40])
@pytest.mark.parametrize("unit", [2 * np.pi / 39, 0.1, 1e-6, 1e5 / 3])
@pytest.mark.parametrize("offset", [0.0, -0.5])
def test_levels_equal_up_to_rounding_are_one(count, unit, offset):
    rng = np.random.default_rng(0)
    classes = rng.integers(0, count, 1000)
    exact = (classes + offset) * unit
    mixed = np.where(rng.integers(0, 2, 1000), exact.astype(np.float32).astype(np.float64), exact)
    summed = np.where(rng.integers(0, 2, 1000), (classes + offset) * unit + 0.1 * unit - 0.1 * unit, exact)
    of_classes, of_mixed, of_summed = (
        evaluate(classes[:, None], factor[:, None], ["mig", "modularity", "beta_vae"])
        for factor in (classes, mixed, summed)
    )
    assert of_mixed == of_summed == pytest.approx(of_classes)


@pytest.mark.parametrize(
    "values",
    [
        [1e8, 1e8 + 1, 1e8 + 2],  # whole numbers are exact
        [0.5 + 1e8, 1 + 1e8, 1.5 + 1e8],  # far closer than float32 tells apart
        [1e-4, 1e-2, 1.0, 1e2, 1e4, 1e6, 1e8],
        [0.0, 0.001, 1.0, 2.0],
        [1e-30, 2e-30, 3e-30],
    ],
)
def test_levels_that_are_close_but_different_stay_apart(values):
    from system.levels import merge_rounded

    column = np.random.default_rng(0).permutation(np.tile(np.array(values), 100))
    assert np.array_equal(merge_rounded(column), column)


@pytest.mark.parametrize("offset", [-(2**62), -5, 2**52, 2**62])
def test_integer_classes_may_be_large(offset):
    assert score(CODES, FACTORS + offset, CHEAP) == score(CODES, metrics=CHEAP)
    assert score(CODES, FACTORS.astype(np.uint64) + 2**63, CHEAP) == score(CODES, metrics=CHEAP)
    assert score(CODES, (FACTORS * 50 - 128).astype(np.int8), ["sap"]) == score(CODES, FACTORS * 50, ["sap"])


def test_integers_that_float64_does_not_tell_apart_are_refused():
    with pytest.raises(UserError, match=r"integers more than 2\^53 apart"):
        score(CODES, FACTORS * 2**61, CHEAP)
