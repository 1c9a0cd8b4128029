import numpy as np
import pytest
import torch

from datasets.factor_dataset import FactorDataset, split_indices
from system.errors import UserError

SIZES = (3, 2, 4)


@pytest.fixture
def raw():
    images = np.random.RandomState(0).randint(0, 201, (24, 64, 64, 3)).astype(np.uint8)
    return FactorDataset("toy", "toy.npy", ["a", "b", "c"], SIZES, images, pixel_max=200), images


@pytest.fixture
def packed():
    images = np.random.RandomState(0).randint(0, 2, (24, 64, 64, 1)).astype(np.uint8)
    bits = np.packbits(images.reshape(24, -1), axis=1)
    return FactorDataset("toy", "toy.npy", ["a", "b", "c"], SIZES, bits, pixel_max=1, packed=True), images


def test_last_factor_runs_fastest(raw):
    dataset, _ = raw
    assert dataset.index_to_factors(np.array([0, 1, 4, 8, 23])).tolist() == [
        [0, 0, 0],
        [0, 0, 1],
        [0, 1, 0],
        [1, 0, 0],
        [2, 1, 3],
    ]


def test_index_and_factors_are_inverse(raw):
    dataset, _ = raw
    index = np.arange(len(dataset))
    assert (dataset.factors_to_index(dataset.index_to_factors(index)) == index).all()


def test_a_factor_out_of_range_is_refused(raw):
    with pytest.raises(ValueError):
        raw[0].factors_to_index(np.array([[0, 2, 0]]))


def test_as_many_images_as_combinations_are_required():
    with pytest.raises(ValueError, match="3 images for 4 combinations"):
        FactorDataset("toy", "x", ["a"], [4], np.zeros((3, 64, 64, 1), np.uint8))


def test_parts_that_do_not_fit_together_are_refused():
    images, table = np.zeros((3, 64, 64, 1), np.uint8), np.zeros((3, 2), np.int64)
    with pytest.raises(ValueError, match="2 factor names for 1 factor sizes"):
        FactorDataset("toy", "x", ["a", "b"], [3], images)
    for wrong in (table[:2], table[:, :1]):
        with pytest.raises(ValueError, match="for 3 images and 2 names"):
            FactorDataset("toy", "x", ["a", "b"], [3, 2], images, factors=wrong)
    for wrong in (np.zeros((3, 511), np.uint8), np.zeros((3, 512), np.int16)):
        with pytest.raises(ValueError, match="cannot hold images of 64 x 64 bits"):
            FactorDataset("toy", "x", ["a"], [3], wrong, packed=True)


def test_a_table_of_factors_is_no_grid_and_leaves_out_what_it_has_of_the_names():
    images, table = np.zeros((3, 64, 64, 1), np.uint8), np.array([[0, 1], [2, 0], [1, 1]])
    dataset = FactorDataset("toy", "x", ["a", "b"], [3, 2], images, factors=table, left_out=("c", "b"))
    assert not dataset.is_grid and dataset.left_out == ("b",)
    assert (dataset.index_to_factors(np.array([2, 0])) == table[[2, 0]]).all()
    with pytest.raises(ValueError, match="toy is not a grid"):
        dataset.factors_to_index(table)


@pytest.mark.parametrize("kind", ["raw", "packed"])
def test_a_batch_is_the_stored_images_scaled_to_one(kind, request):
    dataset, images = request.getfixturevalue(kind)
    index = np.array([5, 23, 0, 5])
    batch = dataset.batch(index, "cpu")
    expected = torch.from_numpy(images[index]).permute(0, 3, 1, 2).float() / dataset.pixel_max
    assert batch.dtype == torch.float32
    assert batch.shape == (4, dataset.channels, 64, 64)
    assert batch.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(batch, expected)
    assert (dataset.uint8(index) == images[index]).all()


@pytest.mark.parametrize("wrong", [np.array([True] * 24), torch.tensor([True] * 24), np.array([0.0, 1.0])])
def test_an_index_is_of_integers(raw, wrong):
    for use in (raw[0].uint8, raw[0].batch, raw[0].index_to_factors):
        with pytest.raises(TypeError, match="indices are integers, not (bool|float64); of a mask"):
            use(wrong)


def test_one_image_is_a_tensor_with_its_factors(packed):
    dataset, images = packed
    x, factors = dataset[5]
    assert x.shape == (1, 64, 64) and (x[0].numpy() == images[5, ..., 0]).all() and factors.tolist() == [0, 1, 1]
    assert torch.equal(dataset[-1][0], dataset[23][0])
    with pytest.raises(IndexError, match="24: toy has 24 images"):
        dataset[24]


@pytest.mark.parametrize("kind", ["raw", "packed"])
@pytest.mark.parametrize("as_index", [list, np.array, torch.tensor])
def test_batches_cut_on_the_device_are_the_same(kind, as_index, request):
    dataset, images = request.getfixturevalue(kind)
    index = [7, 7, 1]
    expected = dataset.batch(as_index(index))
    moved = dataset.to_device("cpu")
    assert moved is dataset
    assert dataset.on_device.dtype == torch.uint8
    assert torch.equal(dataset.batch(as_index(index)), expected)
    assert torch.equal(dataset.batch(as_index(index), "cpu"), expected)
    assert dataset.batch(as_index(index)).is_contiguous(memory_format=torch.channels_last)
    assert (dataset.uint8(np.array(index)) == images[index]).all()


def test_packed_images_stay_packed_on_the_device(packed):
    dataset, _ = packed
    assert dataset.to_device("cpu").on_device.shape == (24, 512)


def test_split_parts_are_disjoint_and_cover_the_set():
    train, validation = split_indices(1000, 0.1, seed=3)
    assert len(validation) == 100
    assert sorted([*train, *validation]) == list(range(1000))
    assert list(train) == sorted(train) and list(validation) == sorted(validation)
    assert [len(split_indices(10, split, seed=3)[1]) for split in (0.01, 0.16, 0.9)] == [1, 2, 9]


def test_split_depends_on_the_seed_alone():
    first, again, other = (split_indices(1000, 0.1, seed)[1] for seed in (3, 3, 4))
    assert (first == again).all()
    assert (first != other).any()


def test_split_is_spread_over_the_set():
    _, validation = split_indices(10_000, 0.1, seed=0)
    assert abs(validation.mean() - 5000) < 500
    assert 30 < (validation < 500).sum() < 70


def test_no_split_trains_on_everything():
    train, validation = split_indices(10, 0, seed=0)
    assert train.tolist() == list(range(10))
    assert validation.tolist() == []


@pytest.mark.parametrize("split", [-0.1, 1, 1.5])
def test_impossible_split_names_the_flag(split):
    with pytest.raises(UserError, match="--split"):
        split_indices(10, split, seed=0)


def test_split_that_leaves_nothing_names_the_flag():
    with pytest.raises(UserError, match="--split 0.99 leaves no image"):
        split_indices(10, 0.99, seed=0)
