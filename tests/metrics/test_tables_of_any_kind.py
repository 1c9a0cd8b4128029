"""Whatever scale, offset, dtype and levels a table has, its scores are right or it is refused."""

import dataclasses
import re
import warnings
from pathlib import Path

import metric_cases as cases
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics import METRICS, PRESETS, evaluate, scores
from system.errors import UserError

SIZES = (4, 5, 6)
FACTORS = np.tile(cases.all_factors(SIZES), (3, 1))  # [360, 3]
RNG = np.random.default_rng(0)
ROTATION = np.linalg.qr(RNG.standard_normal((3, 3)))[0]
CODES = cases.scaled(FACTORS, SIZES) @ ROTATION + 0.3 * RNG.standard_normal((len(FACTORS), 3))
PRESET = dataclasses.replace(
    PRESETS["fast"], factor_batch=8, dci_trees=2, factor_train_votes=200, factor_eval_votes=200
)
TABLES = [name for name, metric in METRICS.items() if not metric.needs]
STEPS = [name for name, metric in METRICS.items() if metric.needs == "steps"]
CHEAP = [name for name in TABLES if name not in ("dci", "dci_forest", "explicitness")]
SQUARED = "gaussian_wasserstein_correlation"  # in squared units of the code
COMMON_SCALE = {"IRS", "gaussian_wasserstein_correlation_norm"}  # invariant to one scale of all latents only
ACTIVE = {"fac_eval", "fac_train", "fac_num_act"}  # count latents of a deviation of 0.1 or more
DILUTED = {name for name in scores() if "completeness" in name or name.startswith("factor_leakage")}
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


BASE = score(CODES)


@pytest.mark.parametrize("scale", [1e-300, 1e-100, 1e-8, 1e-7, 1e-3, 1e8, 1e100, 1e149])
def test_no_score_changes_with_the_scale_but_those_that_are_defined_by_it(scale):
    found = score(CODES * scale)
    assert_equal(found, BASE, {SQUARED} | (ACTIVE if scale < 1 else set()))
    assert found[SQUARED] == pytest.approx(BASE[SQUARED] * scale * scale, rel=1e-6)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(-8, 8), min_size=3, max_size=3), st.lists(st.floats(-1e8, 1e8), min_size=3, max_size=3))
def test_no_score_changes_with_scale_and_offset_of_single_latents(scales, offsets):
    scales = 10.0 ** np.array(scales)
    offsets = np.array(offsets) * np.minimum(scales, 1.0)  # else the sum loses the code's digits
    assert_equal(score(CODES * scales + offsets, metrics=CHEAP), BASE, COMMON_SCALE | ACTIVE | {SQUARED}, 1e-5)


@pytest.mark.parametrize("offset", [1e-3, 1.0, 1e4, 1e8, -1e8])
def test_no_score_changes_with_an_offset(offset):
    assert_equal(score(CODES + offset), BASE)


@pytest.mark.parametrize("scale", [1e-300, 1e-8, 1e8, 1e149])
def test_step_scores_do_not_change_with_the_scale(scale):
    codes = CODES[: np.prod(SIZES)]
    first, second = (
        evaluate(z, FACTORS[: len(codes)], STEPS, preset=PRESET, workers=1) for z in (codes, codes * scale)
    )
    assert_equal(second, first, tolerance=1e-5)


@pytest.mark.parametrize("scale", [1e-7, 0.1, 1 / 3, 1e8])
def test_values_on_the_edge_of_a_bin_stay_in_their_bin(scale):
    whole = score(FACTORS, metrics=CHEAP)
    moved = {"IRS", SQUARED} | (ACTIVE if scale < 0.1 else set())
    for codes in (FACTORS * scale, FACTORS * scale + scale, (FACTORS * scale).astype(np.float32)):
        assert_equal(score(codes, metrics=CHEAP), whole, moved)


@pytest.mark.parametrize("value", [0.0, 0.1, -1e8])
@pytest.mark.parametrize("dead", [1, 6, 96])
def test_dead_latents_change_no_score_that_is_not_defined_by_their_number(value, dead):
    with_dead = np.concatenate([CODES, np.full((len(CODES), dead), value)], axis=1)
    assert_equal(score(with_dead), BASE, DILUTED)
    assert_equal(score(with_dead, active_only=True), BASE)


def test_active_only_keeps_latents_by_the_rule_of_the_factor_vae_score():
    faint = np.concatenate([CODES, 0.05 * RNG.standard_normal((len(CODES), 2))], axis=1)
    assert score(faint)["fac_num_act"] == 3
    assert_equal(score(faint, active_only=True), BASE)
    encoded = cases.CodesAsImages(SIZES, faint[: np.prod(SIZES)])
    alone = cases.CodesAsImages(SIZES, CODES[: np.prod(SIZES)])
    chosen = evaluate(lambda z: z, encoded, ["mig", "modularity"], preset=PRESET, active_only=True)
    assert chosen == evaluate(lambda z: z, alone, ["mig", "modularity"], preset=PRESET)
    with pytest.raises(UserError, match=r"active_only: no latent has a deviation of 0\.1"):
        score(CODES * 1e-3, active_only=True)
    with pytest.raises(UserError, match="active_only: a decoder takes every latent"):
        evaluate(lambda z: z, alone, ["mig"], decoder=lambda z: z, active_only=True)


def test_the_documented_scores_with_dead_latents_are_those_measured():
    document = (Path(__file__).resolve().parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| ([\d. |]+) \|$", document, re.MULTILINE)
    assert [int(dead) for dead, _ in rows] == [0, 6, 26, 96]
    names = re.search(r"^\| dead latents \| (.*) \|$", document, re.MULTILINE)[1].replace("`", "").split(" | ")
    sizes = (4, 5, 6, 7)
    factors = cases.all_factors(sizes)  # [840, 4]
    rng = np.random.default_rng(0)
    mix = np.eye(4) + 0.25 * rng.standard_normal((4, 4))
    codes = cases.scaled(factors, sizes) @ mix + 0.1 * rng.standard_normal(factors.shape)
    asked = ["dci", "modularity", "unsupervised", "factor_leakage"]
    for dead, values in rows:
        padded = np.concatenate([codes, np.zeros((len(codes), int(dead)))], axis=1)
        found = evaluate(padded, factors, asked, preset="fast", workers=1)
        documented = dict(zip(names, map(float, values.split(" | ")), strict=True))
        assert {name: found[name] for name in documented} == pytest.approx(documented, abs=1e-3)


@pytest.mark.parametrize("columns", [2, 5, 50])
@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e-30, 1e30])
def test_constant_latents_share_nothing(columns, value):
    found = score(np.full((len(FACTORS), columns), value), metrics=["unsupervised"])
    assert set(found.values()) == {0.0}


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("value", [1.0, -3.0, 1e-20, 1e20])
def test_a_latent_that_varies_by_rounding_alone_is_constant(kind, value):
    step = np.nextafter(kind(value), kind(np.inf)) - kind(value)
    nearly = (kind(value) + step * RNG.integers(0, 2, (len(FACTORS), 2)).astype(kind)).astype(kind)
    alone, constant = score(nearly), score(np.full_like(nearly, value))
    assert_equal(alone, constant)
    assert alone["discrete_mig"] == alone["RMIG"] == alone["SAP_score"] == alone["dci_disentanglement"] == 0
    beside = np.concatenate([CODES.astype(kind), nearly], axis=1)
    assert_equal(score(beside), BASE, DILUTED, 1e-5)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_codes_and_factors_of_any_torch_dtype_are_scored(kind):
    codes = torch.tensor(CODES, dtype=kind, requires_grad=True)
    factors = torch.from_numpy(FACTORS).to(kind)
    assert_equal(score(codes, factors, CHEAP), score(codes.detach().double().numpy(), metrics=CHEAP))


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.int8, np.int64, np.uint8, bool])
def test_codes_of_any_numpy_dtype_are_scored(kind):
    codes = (np.abs(CODES) * 3).astype(kind)
    assert_equal(score(codes, metrics=CHEAP), score(codes.astype(np.float64), metrics=CHEAP), tolerance=1e-5)


def test_lists_and_pandas_tables_are_scored():
    import pandas

    assert score(CODES.tolist(), FACTORS.tolist(), CHEAP) == score(CODES, metrics=CHEAP)
    assert score(pandas.DataFrame(CODES), pandas.DataFrame(FACTORS), CHEAP) == score(CODES, metrics=CHEAP)


@pytest.mark.parametrize("convert", [np.asarray, lambda z: z.numpy(), lambda z: z.tolist(), lambda z: z.bfloat16()])
def test_an_encoder_may_return_numpy_lists_or_half_precision(convert):
    images = cases.CodesAsImages(SIZES, cases.all_factors(SIZES))  # small whole numbers, exact in every dtype
    same = evaluate(lambda z: z, images, ["mig", "sap"], preset=PRESET)
    assert evaluate(convert, images, ["mig", "sap"], preset=PRESET) == same


@pytest.mark.parametrize(
    ("encoder", "more", "says"),
    [
        (lambda z: z, {"batch_size": 0}, "batch_size is 0"),
        (lambda z: z, {"batch_size": -1}, "batch_size is -1"),
        (lambda z: (z, z), {}, "expected codes .* got a tuple"),
        (lambda z: None, {}, "expected codes .* got a NoneType"),
        (lambda z: z[:, 0], {}, "expected codes"),
        (lambda z: [[1, 2], [3]], {}, "expected codes .* got a list"),
        (lambda z: z[:, : 1 + len(z) % 2], {"batch_size": 11}, "gave . latents for one batch and . for another"),
        (lambda z: z, {"bins": 20}, "bins: the factors of this data set are classes already"),
        (lambda z: z, {"factor_names": ["a"]}, "factor_names and test are for tables"),
    ],
)
def test_an_encoder_that_gives_no_table_of_codes_is_refused(encoder, more, says):
    with pytest.raises(UserError, match=says):
        evaluate(encoder, cases.CodesAsImages(SIZES, CODES[: np.prod(SIZES)]), ["mig"], preset=PRESET, **more)


@pytest.mark.parametrize(
    ("codes", "says"),
    [
        (CODES * 1e200, "beyond 1e\\+150"),
        ([[1.0, 2.0], [3.0]], "expected a table of numbers"),
        (CODES.astype(complex), "complex"),
        (CODES.astype(object), "dtype object"),
        (np.where(CODES > 1, np.inf, CODES), "rows hold NaN or infinity"),
        (np.zeros((0, 3)), "at least one of each"),
        (np.zeros((360, 0)), "at least one of each"),
    ],
)
def test_codes_that_cannot_be_scored_are_refused_in_one_line(codes, says):
    with pytest.raises(UserError, match=says) as caught:
        score(codes)
    assert "\n" not in str(caught.value)


# Factors


def levels(rows, count):
    """Random values of one factor, `[rows]`, from `count` levels that are no whole numbers."""
    return np.random.default_rng(1).permutation(np.arange(rows) % count) * 0.3 + 0.1


@pytest.mark.parametrize("names", [["dci"], ["dci_forest"], ["explicitness"], CHEAP])
def test_levels_that_are_no_whole_numbers_are_classes(names):
    values = FACTORS * np.array([0.15789474, 0.5, 1e-9]) + np.array([0.5, 0.0, 1.0])
    assert_equal(score(CODES, values, names), score(CODES, metrics=names))


def test_levels_of_the_test_set_that_the_training_set_lacks_are_never_predicted():
    train = FACTORS[:, 0] < 3
    found = score(CODES[train], FACTORS[train] * 0.5, ["dci"], test=(CODES[~train], FACTORS[~train] * 0.5))
    assert found["dci_informativeness_test"] <= 2 / 3


@pytest.mark.parametrize("rows", [60, 500, 5000])
@pytest.mark.parametrize("column", [0, 1, 2])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_continuous_factors_are_refused_by_name_and_binned_on_request(rows, column, kind):
    rng = np.random.default_rng(0)
    factors = rng.integers(0, 4, (rows, 3)).astype(kind)
    factors[:, column] = rng.uniform(0, 1, rows)
    with pytest.raises(UserError, match=rf"column {column} is continuous.*distinct values in {rows} rows.*bins=20"):
        evaluate(factors, factors, ["mig"])
    with pytest.raises(UserError, match="width is continuous"):
        evaluate(factors, factors, ["mig"], factor_names=["width" if k == column else str(k) for k in range(3)])
    binned = factors.copy()
    binned[:, column] = np.floor((factors[:, column] - factors[:, column].min()) / np.ptp(factors[:, column]) * 10)
    binned[:, column] = np.minimum(binned[:, column], 9)
    expected = evaluate(factors, binned, CHEAP, preset=PRESET)
    assert evaluate(factors, factors, CHEAP, preset=PRESET, bins=10) == expected
    assert evaluate(factors, factors, CHEAP, preset=PRESET, bins={f"factor {column}": 10}) == expected


def test_binned_continuous_factors_score_an_ideal_code_as_ideal():
    factors = np.random.default_rng(0).uniform(0, 1, (500, 3))
    found = evaluate(factors, factors, ["mig", "modularity", "factor_vae", "explicitness"], bins=5)
    assert found["discrete_mig"] > 0.85 and found["modularity_score"] > 0.95
    assert found["fac_eval"] == 1 and found["explicitness_score_test"] > 0.9


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_factor_that_is_zero_or_continuous_is_continuous(share):
    rng = np.random.default_rng(0)
    factor = np.where(rng.uniform(size=1000) < share, 0.0, rng.uniform(size=1000))
    with pytest.raises(UserError, match="column 0 is continuous"):
        evaluate(np.zeros((1000, 2)), factor[:, None], ["mig"])


@pytest.mark.parametrize("count", [2, 3, 40, 300, 500])
def test_a_factor_with_two_rows_a_level_or_more_is_not_continuous(count):
    assert evaluate(np.zeros((1000, 1)), levels(1000, count)[:, None], ["mig"]) is not None


@pytest.mark.parametrize("bins", [0, 1, -3, 2.5, True, {"factor 0": 1}, {"hue": 4}])
def test_bins_that_make_no_classes_are_refused(bins):
    with pytest.raises(UserError, match="bins"):
        score(CODES, bins=bins)


@pytest.mark.parametrize("count", [2, 5, 40])
@pytest.mark.parametrize("unit", [2 * np.pi / 39, 0.1, 1e-6, 1e5 / 3])
@pytest.mark.parametrize("offset", [0.0, -0.5])
def test_levels_equal_up_to_rounding_are_one(count, unit, offset):
    rng = np.random.default_rng(0)
    classes = rng.integers(0, count, 1000)
    exact = (classes + offset) * unit
    mixed = np.where(rng.integers(0, 2, 1000), exact.astype(np.float32).astype(np.float64), exact)
    summed = np.where(rng.integers(0, 2, 1000), (classes + offset) * unit + 0.1 * unit - 0.1 * unit, exact)
    for factor in (mixed, summed):
        values = evaluate(classes[:, None], factor[:, None], ["mig", "rmig", "modularity", "beta_vae"], left_out=())
        assert values == pytest.approx(
            evaluate(classes[:, None], classes[:, None], ["mig", "rmig", "modularity", "beta_vae"], left_out=())
        )


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
    from metrics.factors import merge_rounded

    column = np.random.default_rng(0).permutation(np.tile(np.array(values), 100))
    assert np.array_equal(merge_rounded(column), column)


# Pairs that share a factor


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
    with pytest.warns(UserWarning, match="factor 1: 1 of 360 rows have a value that no other row shares"):
        found = score(CODES, factors, ["beta_vae"])
    assert found["val_hig_acc"] == pytest.approx(BASE["val_hig_acc"], abs=0.05)
