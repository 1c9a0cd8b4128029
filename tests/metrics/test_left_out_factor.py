"""MIG and factor leakage leave out a factor by its name, whatever stands beside it."""

import metric_cases as cases
import numpy as np
import pytest

from datasets import load_dataset
from metrics import encode, evaluate, mig, score_model

SIZES = (3, 6, 8)
NAMES = ["shape", "scale", "pos_x"]
FACTORS = np.tile(cases.all_factors(SIZES), (4, 1))  # [576, 3]
RNG = np.random.default_rng(0)
CODES = cases.scaled(FACTORS, SIZES) + np.array([0.1, 0.8, 0.2]) * RNG.standard_normal(FACTORS.shape)
SCORES = ["mig", "factor_leakage"]


def score(factors, codes=CODES, **settings):
    return evaluate(codes, factors, SCORES, **settings)


def test_nothing_is_left_out_of_a_table():
    found = score(FACTORS)
    assert found["discrete_mig"] == found["discrete_mig_all_factors"]
    alone = mig(CODES[:, :1], FACTORS)  # holds the first factor only
    assert alone["discrete_mig"] == alone["discrete_mig_all_factors"] > 0.2


def test_a_factor_is_left_out_wherever_it_stands():
    expected = score(FACTORS, left_out=[0])
    assert expected["discrete_mig"] != expected["discrete_mig_all_factors"]
    assert expected["discrete_mig"] == pytest.approx(score(FACTORS[:, 1:])["discrete_mig_all_factors"], abs=1e-12)
    for order in ([1, 0, 2], [2, 1, 0]):
        assert score(FACTORS[:, order], left_out=[order.index(0)]) == pytest.approx(expected, abs=1e-12)


def test_a_data_set_leaves_out_what_it_declares():
    images = cases.CodesAsImages(SIZES, CODES[:144])
    images.factor_names, images.left_out = NAMES, ("scale",)
    declared = score_model(lambda z: z, None, images, ["mig"]).values
    assert declared == evaluate(encode(lambda z: z, images), FACTORS[:144], ["mig"], left_out=[1])


def test_a_table_of_one_shape_scores_as_the_reference_with_its_constant_column():
    constant = np.concatenate([np.zeros_like(FACTORS[:, :1]), FACTORS[:, 1:]], axis=1)
    reference = score(constant, left_out=[0])
    assert score(FACTORS[:, 1:]) == pytest.approx(reference, abs=1e-12)
    assert reference["discrete_mig"] == reference["discrete_mig_all_factors"]


def test_the_only_factor_that_varies_is_not_left_out():
    found = score(FACTORS * [1, 0, 0], left_out=[0])
    assert found["discrete_mig"] == found["discrete_mig_all_factors"] > 0.5


@pytest.mark.parametrize(("shape", "left_out"), [(None, ("shape",)), (1, ())])
def test_a_data_set_of_one_shape_leaves_out_nothing_more(small_dsprites, shape, left_out):
    dataset = load_dataset("dsprites", small_dsprites, fixed_shape=shape, progress=False)
    assert dataset.left_out == left_out
    sizes = dataset.factor_sizes
    codes = cases.scaled(cases.all_factors(sizes), sizes) + 0.3 * np.random.default_rng(1).standard_normal(
        (len(dataset), len(sizes))
    )
    images = cases.CodesAsImages(sizes, codes)
    images.left_out, images.factor_names = dataset.left_out, dataset.factor_names
    gap = score_model(lambda z: z, None, images, ["mig"], preset="fast").values
    assert (gap["discrete_mig"] == gap["discrete_mig_all_factors"]) == (shape is not None)


def test_of_3d_shapes_the_floor_hue_is_left_out():
    from datasets.shapes3d import FACTORS as NAMED
    from datasets.shapes3d import LEFT_OUT

    assert LEFT_OUT == ("floor_hue",) and next(iter(NAMED)) == "floor_hue"
