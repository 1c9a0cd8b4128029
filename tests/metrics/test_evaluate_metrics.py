"""`evaluate` as a library: what goes in, what comes out, what is refused, and that nothing global moves."""

import json
import random

import metric_cases as cases
import numpy as np
import pytest
import torch

from metrics import METRICS, PRESETS, evaluate, score_model
from metrics.model_scores import fixed_sample
from system.errors import UserError

SIZES = (3, 4, 5)
QUICK = ["factor_vae", "beta_vae", "mig", "sap", "modularity", "explicitness", "unsupervised"]


def ideal(n=400, seed=0):
    rng = np.random.default_rng(seed)
    factors = rng.integers(0, SIZES, size=(n, len(SIZES)))
    noise = 0.01 * rng.standard_normal((n, 2))
    return np.concatenate([cases.scaled(factors, SIZES), noise], axis=1), factors


def grid_dataset(sizes=SIZES):
    factors = cases.all_factors(sizes)
    return cases.CodesAsImages(sizes, cases.scaled(factors, sizes))


def test_result_is_a_flat_dict_of_floats_with_the_logged_names():
    scores = evaluate(*ideal(), QUICK, preset="fast")
    assert list(scores) == [output for name in QUICK for output in METRICS[name].keys]
    assert all(type(value) is float for value in scores.values())


def test_same_seed_gives_the_same_numbers_whatever_else_is_asked_and_another_seed_does_not():
    z, factors = ideal()
    z = z + 0.5 * np.random.default_rng(1).standard_normal(z.shape)
    alone = evaluate(z, factors, ["beta_vae"], preset="fast", seed=4)
    together = evaluate(z, factors, QUICK, preset="fast", seed=4)
    assert alone["hig_acc"] == together["hig_acc"]
    assert alone["val_hig_acc"] == together["val_hig_acc"]
    assert alone != evaluate(z, factors, ["beta_vae"], preset="fast", seed=5)


def test_global_random_states_are_neither_read_nor_changed():
    z, factors = ideal()
    first = evaluate(z, factors, QUICK, preset="fast")
    np.random.seed(5), torch.manual_seed(5), random.seed(5)
    before = np.random.get_state()[1].copy(), torch.get_rng_state(), random.getstate()
    assert evaluate(z, factors, QUICK, preset="fast") == first
    assert (np.random.get_state()[1] == before[0]).all()
    assert torch.equal(torch.get_rng_state(), before[1])
    assert random.getstate() == before[2]


def with_nan():
    z, factors = ideal()
    z[3, 1] = np.nan
    return z, factors


@pytest.mark.parametrize(
    ("z", "factors", "says"),
    [
        (*with_nan(), "1 of 400 rows hold NaN"),
        (ideal()[0][:, 0], ideal()[1], "expected a table"),
        (ideal()[0], ideal()[1][:, 0], r"expected a table.* give values\[:, None\]"),
        (ideal()[0][:-1], ideal()[1], "399 and 400 rows"),
        (ideal()[0].astype(str), ideal()[1], "dtype"),
        (ideal()[0], ideal()[1].astype(str), "dtype.* number classes"),
        (ideal()[0], np.where(ideal()[1] == 0, np.nan, 1.0), "NaN"),
        (np.zeros((2000, 1)), np.arange(2000)[:, None], "2000 distinct values"),
        (lambda codes: codes, ideal()[1], "got a function; encode a data set"),
    ],
)
def test_wrong_inputs_are_refused_with_one_line(z, factors, says):
    with pytest.raises(ValueError, match=says) as caught:
        evaluate(z, factors, ["mig"])
    assert isinstance(caught.value, UserError)
    assert "\n" not in str(caught.value)


def test_unknown_names_are_refused_and_the_known_ones_listed():
    with pytest.raises(UserError, match="unknown metric 'migg'.*mig"):
        evaluate(*ideal(), ["migg"])
    with pytest.raises(UserError, match="preset 'slow'"):
        evaluate(*ideal(), ["mig"], preset="slow")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"bootstrap": 1}, "bootstrap is 1: a standard error takes at least 2"),
        ({"bootstrap": -2}, "bootstrap is -2"),
        ({"workers": 0}, "workers is 0: give at least 1"),
        ({"seed": 2**32}, "seed is 4294967296: choose one from 0 to 4294967295"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 3.0}, "seed is 3.0: give an integer"),
        ({"seed": "3"}, "seed is '3': give an integer"),
        ({"seed": True}, "seed is True"),
        ({"preset": None}, "preset None: choose one of full, fast, or give a Preset"),
        ({"bootstrap": 2.5}, "bootstrap is 2.5"),
        ({"workers": "two"}, "workers is 'two'"),
        ({"test": (ideal()[0][:, :-1], ideal()[1])}, "the test set has another number of latents"),
        ({"test": (ideal()[0], ideal()[1][:, :-1])}, "the test set has another number of factors"),
    ],
)
def test_settings_of_another_type_or_out_of_range_are_refused(settings, says):
    with pytest.raises(UserError, match=says):
        evaluate(*ideal(), ["mig"], **settings)


def test_protocol_states_seed_preset_and_counts_as_plain_data():
    record = evaluate(*ideal(), ["mig"], seed=np.int64(3), preset="full", bootstrap=np.int32(2)).protocol
    assert json.loads(json.dumps(record)) == record
    assert (record["seed"], record["bootstrap"]) == (3, 2)
    assert record["preset"] == "full"
    assert record["samples"]["factor_train_votes"] == 10_000


def test_the_encoder_of_an_ideal_code_scores_as_ideal_and_sees_each_image_once_in_small_batches():
    dataset, given = grid_dataset(), []

    def encoder(codes):
        given.append(len(codes))
        return codes

    scores = score_model(encoder, None, dataset, ["factor_vae", "beta_vae", "sap"], preset="fast", batch_size=7).values
    assert scores["fac_eval"] == 1.0
    assert scores["val_hig_acc"] > 0.98  # a factor of 3 values agrees by chance in one batch of 5 pairs in 243
    assert scores["SAP_score"] > 0.95
    assert (dataset.encoded == 1).all() and max(given) == 7


def test_fast_scores_encode_a_fixed_sample_and_the_images_of_the_steps():
    dataset = grid_dataset((30, 40, 50))
    found = score_model(lambda z: z, None, dataset, ["sap", "true_independence"], preset="fast")
    assert found.protocol["images"] == 60_000 and found.protocol["encoded"] == 50_000
    assert 50_000 < dataset.encoded.sum() == (dataset.encoded > 0).sum() < 55_000
    full = score_model(lambda z: z, None, dataset, ["sap"], preset="full")
    assert full.protocol["encoded"] == 60_000


@pytest.mark.parametrize("sizes", [SIZES, (30, 40, 50)])
def test_kept_codes_are_those_of_the_same_images_for_every_model(sizes):
    dataset, kept = grid_dataset(sizes), []
    for scale, preset in ((1, "fast"), (2, "full")):
        codes = score_model(lambda z, scale=scale: scale * z, None, dataset, ["sap"], preset=preset).codes
        kept.append(codes["index"].tolist())
        assert (codes["codes"] == scale * dataset.codes.numpy()[codes["index"]]).all()
        assert (codes["factors"] == cases.all_factors(sizes)[codes["index"]]).all()
        assert codes["factor_names"].tolist() == ["factor 0", "factor 1", "factor 2"] and codes["data"]
    assert kept[0] == kept[1] == sorted(set(kept[0])) and len(kept[0]) == min(10_000, len(dataset))


def test_images_of_a_fixed_sample_have_independent_factors():
    sizes = (10, 10, 10, 8, 4, 15)  # those of 3D Shapes; every 48th image would not do
    factors = cases.all_factors(sizes)[fixed_sample(480_000, 10_000)]
    assert abs(np.corrcoef(factors.T) - np.eye(6)).max() < 0.04  # four standard errors


@pytest.mark.parametrize("rows", [9, 1999])
def test_of_fewer_rows_than_points_training_and_test_set_are_disjoint_halves(rows):
    from metrics.protocol import Tables

    column = np.arange(float(rows))[:, None]
    train, factors, test, factors_test = Tables(column, column % 3, PRESETS["full"]).split
    assert sorted([*train.ravel(), *test.ravel()]) == list(range(rows)) and len(train) == (rows + 1) // 2
    assert (factors == train % 3).all() and (factors_test == test % 3).all()
