"""Whatever scale, offset and dtype a table of codes has, its scores are right or it is refused."""

import functools
import re
from pathlib import Path

import metric_cases as cases
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from table_cases import (
    ACTIVE,
    CHEAP,
    CODES,
    COMMON_SCALE,
    DILUTED,
    FACTORS,
    RNG,
    SIZES,
    SQUARED,
    STEPS,
    assert_equal,
    base,
    score,
)

from metrics import encode, evaluate, score_model
from system.errors import UserError


@pytest.mark.parametrize("scale", [1e-8, 1e-3, 1e20])
def test_no_score_changes_with_the_scale_but_those_that_are_defined_by_it(scale):
    found = score(CODES * scale)
    assert_equal(found, base(), {SQUARED} | (ACTIVE if scale < 1 else set()))
    assert found[SQUARED] == pytest.approx(base()[SQUARED] * scale * scale, rel=1e-6)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.floats(-8, 8), min_size=3, max_size=3), st.lists(st.floats(-1e8, 1e8), min_size=3, max_size=3))
def test_no_score_changes_with_scale_and_offset_of_single_latents(scales, offsets):
    scales = 10.0 ** np.array(scales)
    offsets = np.array(offsets) * np.minimum(scales, 1.0)  # else the sum loses the code's digits
    assert_equal(score(CODES * scales + offsets, metrics=CHEAP), base(), COMMON_SCALE | ACTIVE | {SQUARED}, 1e-5)


@pytest.mark.parametrize("offset", [1.0, 1e4, -1e8])
def test_no_score_changes_with_an_offset(offset):
    assert_equal(score(CODES + offset), base())


def test_step_scores_do_not_change_with_the_scale_or_with_dead_latents():
    steps, rows = CODES[: np.prod(SIZES)], FACTORS[: np.prod(SIZES)]
    before = score(steps, rows, STEPS)
    for codes in (1e-8 * steps, 1e20 * steps, np.concatenate([steps, np.ones((len(steps), 2))], axis=1)):
        assert_equal(score(codes, rows, STEPS), before, tolerance=1e-5)


@pytest.mark.parametrize("scale", [1e-7, 0.1, 1 / 3, 1e8])
def test_values_on_the_edge_of_a_bin_stay_in_their_bin(scale):
    whole = score(FACTORS, metrics=CHEAP)
    moved = {"IRS", SQUARED} | (ACTIVE if scale < 0.1 else set())
    for codes in (FACTORS * scale, FACTORS * scale + scale, (FACTORS * scale).astype(np.float32)):
        assert_equal(score(codes, metrics=CHEAP), whole, moved)


@pytest.mark.parametrize(("dead", "value"), [(1, 0.1), (6, -1e8), (30, 0.0)])
def test_dead_latents_change_no_score_that_is_not_defined_by_their_number(value, dead):
    with_dead = np.concatenate([CODES, np.full((len(CODES), dead), value)], axis=1)
    assert_equal(score(with_dead), base(), DILUTED)


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


@functools.cache
def constant_scores() -> dict[str, float]:
    """The scores of two constant latents; those of any value (see above) are the same."""
    return score(np.full((len(FACTORS), 2), 1 / 3))


@pytest.mark.parametrize(
    ("kind", "value"), [(np.float32, -3.0), (np.float32, 1e20), (np.float64, 1.0), (np.float64, 1e-20)]
)
def test_a_latent_that_varies_by_rounding_alone_is_constant(kind, value):
    step = np.nextafter(kind(value), kind(np.inf)) - kind(value)
    nearly = (kind(value) + step * RNG.integers(0, 2, (len(FACTORS), 2)).astype(kind)).astype(kind)
    alone = score(nearly)
    assert_equal(alone, constant_scores())
    assert alone["discrete_mig"] == alone["SAP_score"] == alone["dci_disentanglement"] == 0
    beside = np.concatenate([CODES.astype(kind), nearly], axis=1)
    assert_equal(score(beside), base(), DILUTED, 1e-5)


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


def test_pandas_tables_of_different_rows_are_refused():
    import pandas

    codes, factors = pandas.DataFrame(CODES), pandas.DataFrame(FACTORS)
    with pytest.raises(UserError, match="different indices; align them"):
        score(codes, factors.sample(frac=1, random_state=0), CHEAP)
    assert score(codes, factors.sample(frac=1, random_state=0).loc[codes.index], CHEAP) == score(codes, factors, CHEAP)


def test_pandas_test_sets_of_other_columns_are_refused():
    import pandas

    codes, factors = (
        pandas.DataFrame(CODES, columns=["a", "b", "c"]),
        pandas.DataFrame(FACTORS, columns=["x", "y", "z"]),
    )
    assert score(codes, factors, ["sap"], test=(codes, factors)) == score(CODES, metrics=["sap"])
    for test, word in (((codes[["b", "a", "c"]], factors), "latents"), ((codes, factors[["x", "z", "y"]]), "factors")):
        with pytest.raises(UserError, match=f"the {word} of the test set are other columns, or in another order"):
            score(codes, factors, ["sap"], test=test)


@pytest.mark.parametrize("convert", [np.asarray, lambda z: z.numpy(), lambda z: z.tolist(), lambda z: z.bfloat16()])
def test_an_encoder_may_return_numpy_lists_or_half_precision(convert):
    images = cases.CodesAsImages(SIZES, cases.all_factors(SIZES))  # small whole numbers, exact in every dtype
    assert (encode(convert, images) == encode(lambda z: z, images)).all()


@pytest.mark.parametrize(
    ("encoder", "more", "says"),
    [
        (lambda z: z, {"batch_size": 0}, "batch_size is 0"),
        (lambda z: z, {"batch_size": -1}, "batch_size is -1"),
        (lambda z: (z, z), {}, "expected codes .* got a tuple"),
        (lambda z: None, {}, "expected codes .* got a NoneType"),
        (lambda z: z[:, 0], {}, "expected codes"),
        (lambda z: z.sum(), {}, "expected codes"),
        (lambda z: z * float("nan"), {}, "encoder's codes"),
        (lambda z: [[1, 2], [3]], {}, "expected codes .* got a list"),
        (lambda z: z[:, : 1 + len(z) % 2], {"batch_size": 11}, "gave . latents for one batch and . for another"),
    ],
)
def test_an_encoder_that_gives_no_table_of_codes_is_refused(encoder, more, says):
    with pytest.raises(UserError, match=says):
        score_model(encoder, None, cases.CodesAsImages(SIZES, CODES[: np.prod(SIZES)]), ["mig"], **more)


@pytest.mark.parametrize(
    ("codes", "says"),
    [
        (CODES * 1e40, "beyond 1e\\+30"),
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


def test_sparse_matrices_are_scored_as_their_dense_arrays():
    from scipy.sparse import csr_array

    assert score(csr_array(CODES), csr_array(FACTORS), CHEAP) == score(CODES, metrics=CHEAP)


def test_masked_values_are_refused():
    with pytest.raises(UserError, match="factors: some values are masked"):
        score(CODES, np.ma.masked_equal(FACTORS, 1), CHEAP)
    assert score(np.ma.masked_array(CODES), metrics=CHEAP) == score(CODES, metrics=CHEAP)
