"""Images of one's own in an array."""

import h5py
import numpy as np
import pytest

from datasets import check_data_path, load_dataset
from system.errors import UserError

SIZES = (3, 2, 4)
GRID = np.stack(np.unravel_index(np.arange(24), SIZES), axis=1)  # [24, 3]
IMAGES = np.random.RandomState(0).randint(0, 256, (24, 64, 64, 3)).astype(np.uint8)
IMAGES[:, 0, 0, 0] = np.arange(24)


def write(path, **arrays):
    if path.suffix == ".npz":
        np.savez_compressed(path, **arrays)
        return path
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            text = np.asarray(array).dtype.kind == "U"
            file[name] = np.asarray(array).astype(h5py.string_dtype()) if text else array
    return path


def load(path, **options):
    return load_dataset("arrays", path, progress=False, **options)


@pytest.fixture(params=[".npz", ".h5"])
def suffix(request):
    return request.param


def test_a_grid_in_any_order_is_put_into_order(tmp_path, suffix, is_mapped):
    order = np.random.RandomState(1).permutation(24)
    path = write(tmp_path / f"a{suffix}", images=IMAGES[order], factors=GRID[order], factor_names=["a", "b", "c"])
    dataset = load(path)
    assert dataset.is_grid
    assert (dataset.factor_names, dataset.factor_sizes) == (("a", "b", "c"), SIZES)
    assert (dataset.uint8(np.arange(24)) == IMAGES).all()
    assert (dataset.index_to_factors(np.arange(24)) == GRID).all()
    assert is_mapped(dataset.images)


def test_levels_may_be_any_numbers_or_texts(tmp_path, suffix):
    values = np.array([0.5, 7.25, 9.0])[GRID[:, 0]][:, None] * 1.0
    other = np.concatenate([values, np.array([-1e9, 1e9])[GRID[:, 1:2]], GRID[:, 2:] / 3], axis=1)
    assert load(write(tmp_path / f"a{suffix}", images=IMAGES, factors=other)).is_grid
    texts = np.array(["bläulich", "green", "red"])[GRID[:, 0]]
    dataset = load(write(tmp_path / f"b{suffix}", images=IMAGES, factors=texts))
    assert (dataset.factor_names, dataset.factor_sizes) == (("factor_0",), (3,))
    assert (dataset.index_to_factors(np.arange(24)) == GRID[:, :1]).all()


@pytest.mark.parametrize("first", [[], [1]], ids=["missing", "repeated"])
def test_a_table_that_is_no_grid_stays_a_table(first, tmp_path, suffix):
    rows = np.array([*first, *range(1, 24)])  # without the first combination
    dataset = load(write(tmp_path / f"a{suffix}", images=IMAGES[rows], factors=GRID[rows] * 10))
    assert not dataset.is_grid and len(dataset) == len(rows)
    assert (dataset.index_to_factors(np.arange(len(rows))) == GRID[rows]).all()
    assert (dataset.uint8(np.arange(len(rows))) == IMAGES[rows]).all()


def test_without_factors(tmp_path, suffix):
    dataset = load(write(tmp_path / f"a{suffix}", images=IMAGES[..., 0]))
    assert (len(dataset), dataset.channels, dataset.factor_names) == (24, 1, ())
    assert (dataset.uint8(np.arange(24))[..., 0] == IMAGES[..., 0]).all()


def test_images_of_another_size_are_brought_to_64(tmp_path, suffix):
    images = np.full((3, 30, 60, 1), 200, np.uint8)
    assert (load(write(tmp_path / f"a{suffix}", images=images)).uint8(np.arange(3)) == 200).all()


def test_masks_of_0_and_1_are_white_where_they_are_1(tmp_path, suffix):
    dataset = load(write(tmp_path / f"a{suffix}", images=IMAGES[..., 0] % 2))
    batch = dataset.batch(np.arange(24))
    assert (batch[:, 0].numpy() == IMAGES[..., 0] % 2).all()


def test_more_images_than_are_read_at_once(tmp_path, suffix):
    images = np.random.RandomState(0).randint(0, 256, (600, 64, 64)).astype(np.uint8)
    dataset = load(write(tmp_path / f"a{suffix}", images=images, factors=np.arange(600)[::-1] // 2))
    assert (dataset.uint8(np.arange(600))[..., 0] == images).all()


def test_a_file_that_was_replaced_is_read_anew(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    load(write(path, images=IMAGES))
    assert (load(write(path, images=IMAGES[:5] // 2)).uint8(np.arange(5)) == IMAGES[:5] // 2).all()


WRONG = {
    "float images": ({"images": IMAGES / 255}, "expected images uint8 from 0 to 255, found float64"),
    "four channels": ({"images": np.zeros((2, 8, 8, 4), np.uint8)}, r"found \[2, 8, 8, 4\]"),
    "no images": ({"pictures": IMAGES}, "expected an array images, found"),
    "other length": ({"images": IMAGES, "factors": GRID[:-1]}, r"expected factors \[24, k\].*found int64 \[23, 3\]"),
    "NaN": ({"images": IMAGES, "factors": np.full((24, 1), np.nan)}, "factors hold NaN or infinity"),
    "names": (
        {"images": IMAGES, "factors": GRID, "factor_names": ["a", "a", "b"]},
        "expected 3 different names",
    ),
    "measured": (
        {"images": IMAGES, "factors": np.linspace(0, 1, 24)[:, None] * [1, 2]},
        "factor_0 has 24 values in 24 images, too many to be classes: bin it",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_be_used_is_named(wrong, tmp_path, suffix):
    arrays, message = WRONG[wrong]
    with pytest.raises(UserError, match=message):
        load(write(tmp_path / f"a{suffix}", **arrays))


def test_nothing_is_unpickled(tmp_path):
    np.savez(tmp_path / "a.npz", images=IMAGES, factors=np.array([[{}]] * 24, dtype=object))
    with pytest.raises(UserError, match="factors cannot be read"):
        load(tmp_path / "a.npz")


def test_damaged_files_are_told(tmp_path, suffix):
    path = write(tmp_path / f"a{suffix}", images=IMAGES)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match="damaged"):
        load(path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.tsv", "neither a .npz nor an HDF5 file"),
        ("a.npz", "does not exist"),
        (".", "is a folder: name a .npz"),
    ],
)
def test_other_paths_are_refused_before_the_work(name, message, tmp_path):
    (tmp_path / "a.tsv").write_text("1\t2\n")
    with pytest.raises(UserError, match=message):
        check_data_path("arrays", tmp_path / name)


def test_a_file_that_cannot_be_read_is_not_called_damaged():
    # reading another process's memory at address 0 is an error of the disk to whoever tries
    with pytest.raises(UserError, match=r"--data-path /proc/self/mem cannot be read \(Input/output error\)"):
        check_data_path("arrays", "/proc/self/mem")
