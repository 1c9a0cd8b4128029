"""Samples that share the value of a factor: drawn uniformly, never one sample twice."""

import warnings

import metric_cases as cases
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from table_cases import CODES, FACTORS, base, score

from metrics import evaluate


@pytest.mark.parametrize(("rows", "count"), [(1000, 500), (1000, 100), (300, 60), (60, 3)])
def test_beta_vae_score_of_noise_on_a_small_table_is_chance(rows, count):
    rng = np.random.default_rng(0)
    factors = np.stack([rng.permutation(np.arange(rows) % count) for _ in range(2)], axis=1)
    runs = [
        evaluate(np.random.default_rng(seed).standard_normal((rows, 4)), factors, ["beta_vae"], seed=seed)
        for seed in range(4)
    ]
    # A classifier may still learn the few pairs that there are, so only fresh tables would be at chance exactly.
    assert np.mean([run["val_hig_acc"] for run in runs]) == pytest.approx(0.5, abs=0.08 if rows > 100 else 0.15)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 40), st.lists(st.integers(1, 6), min_size=1, max_size=3), st.integers(0, 2**31))
def test_another_row_shares_the_factor_and_is_another(rows, sizes, seed):
    from metrics.factors import FactorTable
    from metrics.sampling import RowSource

    rng = np.random.default_rng(seed)
    table = FactorTable(rng.integers(0, sizes, (rows, len(sizes))), tuple(map(str, sizes)), np.array([]))
    for source in (RowSource(table), RowSource(table).replicate(rng)):
        if not len(source.varying):
            continue
        factor = rng.choice(source.varying, (50, 3))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            first = source.with_partner(rng, factor)
        second = source.another(rng, first, factor)
        assert (first != second).all()
        assert (table.values[first, factor] == table.values[second, factor]).all()
        assert np.isin(first, source.pool).all() and np.isin(second, source.pool).all()


@pytest.mark.parametrize("sizes", [(2, 3), (4, 5, 6), (1, 7, 2)])
def test_another_sample_of_a_grid_is_uniform_among_the_others(sizes):
    from metrics.sampling import GridSource

    source = GridSource(cases.CodesAsImages(sizes, np.zeros((np.prod(sizes), 1))))
    rng = np.random.default_rng(0)
    for k in source.varying:
        index = np.zeros(20_000, dtype=np.int64) + 1
        other = source.another(rng, index, np.full_like(index, k))
        members = np.flatnonzero(source.factors(np.arange(len(source)))[:, k] == source.factors(index[:1])[0, k])
        counts = np.bincount(other, minlength=len(source))
        assert counts[1] == 0 and counts.sum() == counts[members].sum()
        expected = len(index) / (len(members) - 1)
        assert counts[members[members != 1]] == pytest.approx(expected, abs=6 * np.sqrt(expected))


def test_rows_whose_value_nothing_shares_are_passed_over_and_named():
    factors = FACTORS.copy()
    factors[0, 1] = 77
    for name, output in (("beta_vae", "val_hig_acc"), ("factor_vae", "fac_eval")):
        with pytest.warns(UserWarning, match="factor 1: 1 of 360 rows have a value that no other row shares"):
            found = score(CODES, factors, [name])
        assert found[output] == pytest.approx(base()[output], abs=0.1)
