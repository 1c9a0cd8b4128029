import os

import numpy as np
import pytest

from datasets import load_dataset, shapes3d
from system.errors import UserError


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "data"


LAYOUTS = {
    "chunks_across_images": {"chunks": (10, 8, 8, 1), "compression": "gzip"},
    "chunks_of_images": {"chunks": (7, 64, 64, 3), "compression": "lzf"},
    "one_piece": {},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_images_and_factors_are_those_of_the_file(layout, directory, shapes3d_file, is_mapped):
    _, images = shapes3d_file(directory, layout=LAYOUTS[layout])
    dataset = load_dataset("shapes3d", directory, progress=False)
    assert dataset.factor_names == ("floor_hue", "wall_hue", "object_hue", "scale", "shape", "orientation")
    assert dataset.factor_sizes == (2, 3, 1, 2, 2, 3)
    assert (dataset.channels, dataset.pixel_max, len(dataset)) == (3, 255, 72)
    assert (dataset.uint8(np.arange(72)) == images).all()
    assert is_mapped(dataset.images)


def test_slabs_that_do_not_divide_the_file_are_copied_whole(directory, shapes3d_file, monkeypatch):
    monkeypatch.setattr(shapes3d, "SLAB", 35)
    _, images = shapes3d_file(directory)
    dataset = load_dataset("shapes3d", directory, progress=False)
    assert (dataset.uint8(np.arange(72)) == images).all()


def test_a_file_in_one_piece_is_not_copied(directory, shapes3d_file):
    path, _ = shapes3d_file(directory, layout={})
    load_dataset("shapes3d", directory, progress=False)
    assert sorted(directory.iterdir()) == [path]


def test_a_replaced_file_is_copied_again(directory, shapes3d_file):
    path, _ = shapes3d_file(directory)
    load_dataset("shapes3d", directory, progress=False)
    before = path.stat()
    _, images = shapes3d_file(directory, seed=1)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    dataset = load_dataset("shapes3d", directory, progress=False)
    assert (dataset.uint8(np.arange(72)) == images).all()


def test_source_is_replica_only_if_the_file_says_so(directory, shapes3d_file):
    shapes3d_file(directory)
    assert load_dataset("shapes3d", directory, progress=False).source == "replica"
    path, _ = shapes3d_file(directory, attributes={"subset": "every fifth"})
    assert load_dataset("shapes3d", directory, progress=False).source == path.name


def test_fixed_shape_does_not_apply(directory, shapes3d_file):
    shapes3d_file(directory)
    with pytest.raises(UserError, match="--fixed_shape 1 does nothing for --dataset shapes3d"):
        load_dataset("shapes3d", directory, fixed_shape=1, progress=False)


BAD_ARRAYS = {
    "images_of_floats": (
        {"images": np.zeros((72, 64, 64, 3), np.float32)},
        r"expected images uint8 \[n, 64, 64, 3\], found float32",
    ),
    "grey_images": (
        {"images": np.zeros((72, 64, 64, 1), np.uint8)},
        r"expected images uint8 \[n, 64, 64, 3\], found uint8 \[72, 64, 64, 1\]",
    ),
    "no_labels": ({"labels": None}, "expected an array labels, found images"),
    "labels_of_integers": ({"labels": np.zeros((72, 6), int)}, r"expected labels floats \[72, 6\], found int64"),
    "fewer_labels": ({"labels": np.zeros((71, 6))}, r"expected labels floats \[72, 6\], found float64 \[71, 6\]"),
    "rows_out_of_order": ({"labels": np.zeros((72, 6))}, r"expected all combinations .*: 1 rows\), found 72 rows"),
    "a_small_file_that_does_not_say_why": (
        {"attributes": {}},
        r"expected the official factors \(floor_hue 10, .*found",
    ),
}


@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_a_file_with_wrong_arrays_is_refused(case, directory, shapes3d_file):
    changes, message = BAD_ARRAYS[case]
    path, _ = shapes3d_file(directory, layout={}, **changes)
    with pytest.raises(UserError, match=message) as caught:
        load_dataset("shapes3d", directory, progress=False)
    assert str(path) in str(caught.value)
    assert sorted(directory.iterdir()) == [path]


@pytest.mark.parametrize("kept", [0.001, 0.2, 0.7, 0.99])
def test_a_truncated_file_is_refused(kept, directory, shapes3d_file):
    path, _ = shapes3d_file(directory)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(UserError, match="expected a whole HDF5 file, found a truncated or damaged one"):
        load_dataset("shapes3d", directory, progress=False)
    assert sorted(directory.iterdir()) == [path]


def test_a_damaged_chunk_is_refused(directory, shapes3d_file):
    path, _ = shapes3d_file(directory)
    damaged = bytearray(path.read_bytes())
    middle = len(damaged) // 2
    damaged[middle : middle + 4000] = bytes(4000)
    path.write_bytes(damaged)
    with pytest.raises(UserError, match="truncated or damaged"):
        load_dataset("shapes3d", directory, progress=False)
    assert sorted(directory.iterdir()) == [path]
