"""Which samples scores are computed from: training and test points apart, at random, in a bootstrap from other rows."""

import dataclasses

import metric_cases as cases
import numpy as np
import pytest

from metrics import PRESETS
from metrics.evaluation import draw
from metrics.sampling import generator, source_of

SIZES = (4, 10, 10)


class Rows:
    """A data set whose factors are a table."""

    factors = np.random.default_rng(0).permutation(cases.all_factors(SIZES))
    factor_names = ("a", "b", "c")

    def __len__(self) -> int:
        return len(self.factors)


@pytest.fixture(params=["grid", "table"])
def source(request):
    return source_of(cases.CodesAsImages(SIZES, cases.all_factors(SIZES)) if request.param == "grid" else Rows())


@pytest.mark.parametrize(
    ("train", "test", "sizes"), [(100, 100, (100, 100, 100)), (350, 100, (350, 200, 200)), (500, 9, (400, 200, 200))]
)
def test_points_of_a_table_are_random_rows_and_those_for_training_and_testing_apart(train, test, sizes):
    drawn = source_of(Rows()).split(generator(0, ""), train, test)
    assert tuple(map(len, drawn.values())) == sizes  # points, train, test
    assert all(len(np.unique(index)) == len(index) for index in drawn.values())
    assert not set(drawn["train"]) & set(drawn["test"])
    assert min(np.ptp(drawn["points"]), np.ptp(drawn["train"])) > 350  # not the first of a table that may be sorted


def test_points_of_a_data_set_are_random_images_and_those_for_training_and_testing_apart():
    source = source_of(cases.CodesAsImages((1000, 1000), np.zeros((1, 1))))
    drawn = source.split(generator(0, ""), 50, 40)
    assert tuple(map(len, drawn.values())) == (50, 50, 40)
    assert not set(drawn["train"]) & set(drawn["test"])


def test_random_samples_are_all_equally_likely(source):
    counts = np.bincount(source.random(generator(0, ""), (100, 400)).ravel(), minlength=len(source))
    assert len(counts) == len(source) and counts == pytest.approx(100, abs=60)  # six deviations


def test_the_full_protocol_draws_the_documented_numbers(source):
    drawn = draw(source, ["sap", "irs", "factor_vae", "beta_vae"], PRESETS["full"], 0)
    shapes = {f"{name} {key}": index.shape for name, arrays in drawn.items() for key, index in arrays.items()}
    assert shapes["factor_vae variance"] == (10_000,) and shapes["factor_vae train_rows"] == (10_000, 64)
    assert shapes["factor_vae eval_rows"] == (5_000, 64)
    assert shapes["beta_vae train_second"] == shapes["beta_vae eval_first"] == (1_000, 5)
    if isinstance(source.dataset, Rows):
        assert shapes["sap points"] == shapes["irs points"] == (400,)
    else:
        assert shapes["sap points"] == shapes["sap test"] == (1_000,) and shapes["irs points"] == (10_000,)


def test_a_step_changes_one_factor_to_its_next_values_in_a_circle(source):
    index, factor = np.arange(400), np.arange(400) % 3
    for by in (1, -1, 2):
        stepped = source.factors(source.step(index, factor, np.full(400, by)))
        assert (stepped == (source.factors(index) + by * np.eye(3, dtype=int)[factor]) % SIZES).all()


def test_a_replicate_draws_as_many_samples_of_resampled_rows_and_others_each_time(source):
    names = ["sap", "irs", "factor_vae", "beta_vae"]
    preset = dataclasses.replace(PRESETS["fast"], factor_train_votes=500, factor_eval_votes=500)
    runs = [draw(source, names, preset, 0, replicate) for replicate in range(3)]
    for name in names:
        for key, index in runs[0][name].items():
            others = [run[name][key] for run in runs[1:]]
            if key == "varies_label":  # which factors vary: the same in all
                continue
            assert others[0].shape == others[1].shape == index.shape
            assert not any(np.array_equal(a, b) for a, b in [(index, others[0]), (index, others[1]), others])
            if isinstance(source.dataset, Rows) and index.size >= len(source) and not key.endswith("label"):
                assert len(np.unique(index)) > 0.98 * len(source)
                assert len(np.unique(others[0])) == pytest.approx((1 - 1 / np.e) * len(source), abs=45)
                assert set(others[0].flat) != set(others[1].flat)
    assert not np.array_equal(*(draw(source, ["sap"], preset, seed)["sap"]["train"] for seed in (0, 1)))
