import shutil

import numpy as np
import pytest

from datasets import load_dataset
from system.errors import UserError


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "data"


def packed_file(path):
    return path.with_name(path.name + ".packed.npy")


def test_images_and_factors_are_those_of_the_file(directory, dsprites_file):
    path, images = dsprites_file(directory)
    dataset = load_dataset("dsprites", directory, progress=False)
    assert dataset.factor_names == ("shape", "scale", "orientation", "pos_x", "pos_y")
    assert dataset.factor_sizes == (3, 2, 4, 2, 3)
    assert (dataset.channels, dataset.pixel_max, len(dataset)) == (1, 1, 144)
    index = np.arange(len(dataset))
    assert (dataset.uint8(index)[..., 0] == images).all()
    with np.load(path) as file:
        assert (dataset.index_to_factors(index) == file["latents_classes"][:, 1:]).all()


def test_data_path_may_name_the_file_itself(directory, dsprites_file):
    path, images = dsprites_file(directory)
    other = shutil.move(path, directory / "other.npz")
    dataset = load_dataset("dsprites", str(other), progress=False)
    assert (dataset.uint8(np.arange(144))[..., 0] == images).all()


def test_source_is_replica_only_if_the_file_says_so(directory, dsprites_file):
    dsprites_file(directory)
    assert load_dataset("dsprites", directory, progress=False).source == "replica"
    path, _ = dsprites_file(directory, replica=None, subset=np.array("every fifth"))
    assert load_dataset("dsprites", directory, progress=False).source == path.name


def test_values_of_a_smaller_grid_may_keep_their_official_numbers(directory, dsprites_file):
    classes = np.stack(np.unravel_index(np.arange(144), (1, 3, 2, 4, 2, 3)), axis=-1)
    dsprites_file(directory, latents_classes=classes * [1, 1, 5, 10, 31, 8])
    assert load_dataset("dsprites", directory, progress=False).factor_sizes == (3, 2, 4, 2, 3)


def test_images_are_mapped_not_held(directory, dsprites_file, is_mapped):
    path, _ = dsprites_file(directory)
    images = load_dataset("dsprites", directory, progress=False).images
    assert is_mapped(images)
    assert packed_file(path).stat().st_size < 144 * 512 + 200


def test_a_replaced_file_is_packed_again(directory, dsprites_file):
    dsprites_file(directory)
    load_dataset("dsprites", directory, progress=False)
    _, images = dsprites_file(directory, seed=1)
    dataset = load_dataset("dsprites", directory, progress=False)
    assert (dataset.uint8(np.arange(144))[..., 0] == images).all()


@pytest.mark.parametrize("shape", [0, 1, 2])
def test_fixed_shape_keeps_one_shape_with_consistent_factors(directory, dsprites_file, shape):
    path, images = dsprites_file(directory)
    dataset = load_dataset("dsprites", directory, fixed_shape=shape, progress=False)
    assert dataset.factor_names == ("scale", "orientation", "pos_x", "pos_y")
    assert dataset.factor_sizes == (2, 4, 2, 3)
    with np.load(path) as file:
        classes = file["latents_classes"]
    of_shape = classes[:, 1] == shape
    index = dataset.factors_to_index(classes[of_shape][:, 2:])
    assert (index == np.arange(48)).all()
    assert (dataset.uint8(index)[..., 0] == images[of_shape]).all()


@pytest.mark.parametrize("shape", [-1, 3])
def test_unknown_fixed_shape_names_the_flag(directory, dsprites_file, shape):
    dsprites_file(directory)
    with pytest.raises(UserError, match=f"--fixed_shape {shape}: give a number from 0 to 2"):
        load_dataset("dsprites", directory, fixed_shape=shape, progress=False)


def test_fixed_shape_that_a_smaller_file_lacks_names_the_flag(directory, dsprites_file):
    dsprites_file(directory, sizes=(2, 2, 4, 2, 3))
    with pytest.raises(UserError, match="--fixed_shape 2: .* has shapes 0 to 1"):
        load_dataset("dsprites", directory, fixed_shape=2, progress=False)


def grid(*sizes):
    return np.stack(np.unravel_index(np.arange(int(np.prod(sizes))), sizes), axis=-1)


BAD_ARRAYS = {
    "images_of_floats": ({"imgs": np.zeros((144, 64, 64))}, r"expected imgs uint8 \[n, 64, 64\], found float64"),
    "images_of_another_size": (
        {"imgs": np.zeros((144, 32, 32), np.uint8)},
        r"expected imgs uint8 \[n, 64, 64\], found uint8 \[144, 32, 32\]",
    ),
    "fewer_images_than_classes": (
        {"imgs": np.zeros((143, 64, 64), np.uint8)},
        r"expected latents_classes integers \[143, 6\], found int64 \[144, 6\]",
    ),
    "no_classes": ({"latents_classes": None}, "expected an array latents_classes, found only"),
    "values_of_another_width": ({"latents_values": np.zeros((144, 5))}, r"expected latents_values floats \[144, 6\]"),
    "classes_of_floats": ({"latents_classes": grid(1, 3, 2, 4, 2, 3) * 1.0}, "expected latents_classes integers"),
    "grey_pixels": ({"imgs": np.full((144, 64, 64), 255, np.uint8)}, "expected pixels 0 and 1, found 255"),
    "rows_in_another_order": (
        {"latents_classes": grid(1, 3, 2, 4, 2, 3)[::-1]},
        "expected the factors in row-major order",
    ),
    "not_all_combinations": (
        {"latents_classes": np.r_[grid(1, 3, 2, 4, 2, 3)[1:], [[0, 0, 0, 0, 0, 3]]]},
        r"expected all combinations .*: 192 rows\), found 144 rows",
    ),
    "two_colours": ({"latents_classes": grid(3, 1, 2, 4, 2, 3)}, "expected one colour, found 3"),
    "a_small_file_that_does_not_say_why": (
        {"replica": None},
        r"expected the official factors \(color 1, shape 3, .*\), found \(color 1, shape 3, scale 2,",
    ),
}


@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_a_file_with_wrong_arrays_is_refused(case, directory, dsprites_file):
    changes, message = BAD_ARRAYS[case]
    path, _ = dsprites_file(directory, **changes)
    with pytest.raises(UserError, match=message) as caught:
        load_dataset("dsprites", directory, progress=False)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert sorted(directory.iterdir()) == [path]


@pytest.mark.parametrize("kept", [0.2, 0.7, 0.99])
def test_a_truncated_file_is_refused(kept, directory, dsprites_file):
    path, _ = dsprites_file(directory)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(UserError, match=r"expected a whole .npz file, found a truncated or damaged one"):
        load_dataset("dsprites", directory, progress=False)
    assert sorted(directory.iterdir()) == [path]


def test_a_flipped_byte_is_refused(directory, dsprites_file):
    path, _ = dsprites_file(directory)
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 4] ^= 0xFF
    path.write_bytes(damaged)
    with pytest.raises(UserError, match="truncated or damaged"):
        load_dataset("dsprites", directory, progress=False)
    assert sorted(directory.iterdir()) == [path]
