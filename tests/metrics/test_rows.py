"""Which rows scores are computed from: points apart, rows that share a value and never twice the same, steps."""

import warnings

import metric_cases as cases
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from table_cases import CODES, FACTORS, base, score

from metrics import PRESETS, evaluate
from metrics.protocol import Tables
from metrics.rows import Sharing, draw_steps, shared_factors, sharing_rows, step

SIZES = (4, 10, 10)
ROWS = np.arange(400)[:, None].astype(float)


@pytest.mark.parametrize(
    ("train", "test", "sizes"), [(100, 100, (100, 100, 100)), (350, 100, (350, 200, 200)), (500, 9, (400, 200, 200))]
)
def test_points_are_random_rows_and_those_for_training_and_testing_apart(train, test, sizes):
    import dataclasses

    preset = dataclasses.replace(PRESETS["full"], train_points=train, test_points=test)
    tables = Tables(ROWS, ROWS % 4, preset)
    points, (z, _, z_test, _) = tables.points[0], tables.split
    assert (len(points), len(z), len(z_test)) == sizes
    assert all(len(np.unique(rows)) == len(rows) for rows in (points, z, z_test))
    assert not set(z[:, 0]) & set(z_test[:, 0])
    assert min(np.ptp(points), np.ptp(z)) > 350  # not the first of a table that may be sorted


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 40), st.lists(st.integers(1, 6), min_size=1, max_size=3), st.integers(0, 2**31))
def test_rows_that_share_a_value_do_and_are_others(rows, sizes, seed):
    rng = np.random.default_rng(seed)
    factors = rng.integers(0, sizes, (rows, len(sizes)))
    some = shared_factors(factors)
    if not len(some):
        return
    fixed = rng.choice(some, 50)
    with warnings.catch_warnings(action="ignore"):
        batches = sharing_rows(factors, fixed, 4, rng)  # [50, 4]
        pairs = sharing_rows(factors, fixed, 3, rng, pairs=True)  # [50, 3, 2]
    assert batches.shape == (50, 4) and pairs.shape == (50, 3, 2)
    assert (batches[:, 1:] != batches[:, :1]).all() and (pairs[..., 0] != pairs[..., 1]).all()
    assert (factors[batches, fixed[:, None]] == factors[batches[:, :1], fixed[:, None]]).all()
    assert (factors[pairs[..., 0], fixed[:, None]] == factors[pairs[..., 1], fixed[:, None]]).all()


@pytest.mark.parametrize("sizes", [(2, 3), (4, 5, 6), (1, 7, 2)])
def test_another_row_is_uniform_among_the_others(sizes):
    factors, rng = cases.all_factors(sizes), np.random.default_rng(0)
    for k in shared_factors(factors):
        counts = np.bincount(Sharing(factors[:, k]).another(rng, np.ones(20_000, int)), minlength=len(factors))
        members = np.flatnonzero(factors[:, k] == factors[1, k])
        assert counts[1] == 0 and counts.sum() == counts[members].sum()
        expected = 20_000 / (len(members) - 1)
        assert counts[members[members != 1]] == pytest.approx(expected, abs=6 * np.sqrt(expected))


def test_rows_whose_value_nothing_shares_are_passed_over_and_named():
    factors = FACTORS.copy()
    factors[0, 1] = 77
    for name, output in (("beta_vae", "val_hig_acc"), ("factor_vae", "fac_eval")):
        with pytest.warns(UserWarning, match="column 1 of the factors: 1 of 360 rows have a value that no other"):
            found = score(CODES, factors, [name])
        assert found[output] == pytest.approx(base()[output], abs=0.1)


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


def test_a_step_changes_one_factor_to_its_next_values_in_a_circle():
    factors, number, factor = cases.all_factors(SIZES), np.arange(400), np.arange(400) % 3
    for by in (1, -1, 2):
        stepped = factors[step(number, SIZES, factor, np.full(400, by))]
        assert (stepped == (factors + by * np.eye(3, dtype=int)[factor]) % SIZES).all()


def test_drawn_steps_are_of_varying_factors_in_both_directions():
    drawn = draw_steps((3, 1, 4), 500, np.random.default_rng(0))
    factors = cases.all_factors((3, 1, 4))
    assert set(drawn["label"].ravel()) == {0, 1, 2, 3} and drawn["start"].shape == (2, 2, 500)
    moved = (factors[drawn["after"]] - factors[drawn["before"]]) % [3, 1, 4]  # [2, 500, 3]
    expected = {0: [2, 0, 0], 1: [1, 0, 0], 2: [0, 0, 3], 3: [0, 0, 1]}
    assert (moved == np.array([expected[label] for label in drawn["label"].ravel()]).reshape(moved.shape)).all()
    assert ((factors[drawn["end"]] - factors[drawn["start"]]) % [3, 1, 4] == [[[1, 0, 0]], [[0, 0, 1]]]).all()
