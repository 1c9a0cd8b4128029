"""The data sets of the field, read from small files in their official layouts."""

import gzip
import hashlib
from dataclasses import replace

import miniatures
import numpy as np
import pytest
from PIL import Image

from datasets import DATASETS, chairs3d, check_data_path, describe, digits, load_dataset, mpi3d
from system.errors import UserError

SMALL = {"color": 2, "shape": 2, "size": 2, "camera_height": 1, "horizontal_axis": 3, "vertical_axis": 2}


def load(name, path, **options):
    return load_dataset(name, path, progress=False, **options)


def shrunk(pixels):
    return np.asarray(Image.fromarray(pixels).resize((64, 64), Image.Resampling.LANCZOS))


def one(dataset, *factors):
    """The image of a combination: uint8 `[64, 64, c]`."""
    return dataset.uint8(dataset.factors_to_index(np.array([factors])))[0]


def test_cars3d_runs_through_elevation_azimuth_and_the_lists_order(tmp_path, is_mapped):
    ims = miniatures.cars3d(tmp_path / "cars")
    dataset = load("cars3d", tmp_path / "cars")
    assert (dataset.factor_names, dataset.factor_sizes) == (("elevation", "azimuth", "object"), (4, 24, 3))
    assert is_mapped(dataset.images) and dataset.source == "nips2015-analogy-data.tar.gz, 3 cars"
    for elevation, azimuth, car in [(0, 0, 0), (3, 23, 2), (1, 5, 1), (2, 0, 0), (0, 17, 2)]:
        expected = shrunk(ims[miniatures.CARS[car]][:, :, :, azimuth, elevation])
        assert (one(dataset, elevation, azimuth, car) == expected).all()


@pytest.mark.parametrize("unpacked", [False, True])
def test_smallnorb_is_sorted_into_its_grid(unpacked, tmp_path):
    written = miniatures.smallnorb(tmp_path / "norb", unpacked=unpacked)
    dataset = load("smallnorb", tmp_path / "norb")
    names = ("category", "instance", "elevation", "azimuth", "lighting")
    instances = sorted({instance for labels, _ in written.values() for instance in labels[:, 1]})
    assert (dataset.factor_names, dataset.factor_sizes) == (names, (2, len(instances), 2, 3, 2))
    assert (dataset.channels, len(dataset)) == (1, 96)
    for labels, images in written.values():
        for row in (0, 7, 31, 47):
            category, instance, *rest = labels[row]
            image = one(dataset, category, instances.index(instance), *rest)
            assert (image[..., 0] == shrunk(images[row, 0])).all()  # the left camera's


def test_smallnorb_without_the_second_split_fetches_it(tmp_path, monkeypatch):
    miniatures.smallnorb(tmp_path, ("training",))
    asked = []
    monkeypatch.setattr("datasets.fetch", lambda file, *_, **__: asked.append(file.name))
    with pytest.raises(UserError, match="testing-cat"):
        load("smallnorb", tmp_path)
    assert asked == [f"smallnorb-5x01235x9x18x6x2x96x96-testing-{kind}.mat.gz" for kind in ("dat", "cat", "info")]


@pytest.mark.parametrize("compressed", [False, True])
def test_mpi3d_has_the_vertical_axis_fastest_and_stays_mapped(compressed, tmp_path, is_mapped, monkeypatch):
    monkeypatch.setattr(mpi3d, "TOY", mpi3d.spec("mpi3d_toy", "an object", *mpi3d.TOY.files, SMALL))
    images = miniatures.mpi3d(tmp_path / "mpi3d_toy.npz", SMALL, compressed)
    dataset = load("mpi3d_toy", tmp_path)
    assert dataset.factor_sizes == (2, 2, 2, 1, 3, 2)
    assert (dataset.uint8(np.arange(48)) == images).all()
    assert (one(dataset, 1, 0, 1, 0, 2, 1) == images[24 + 6 + 5]).all()
    assert is_mapped(dataset.images)
    assert len(list(tmp_path.glob("*.npy"))) == compressed  # what is stored as it is needs no copy


def test_mpi3d_refuses_a_grid_of_other_sizes(tmp_path):
    miniatures.mpi3d(tmp_path / "mpi3d_real.npz", SMALL)
    with pytest.raises(UserError, match=r"expected images uint8 \[1036800, 64, 64, 3\], found uint8 \[48, 64, 64, 3\]"):
        load("mpi3d_real", tmp_path)


def test_mpi3d_has_the_official_numbers_of_images():
    assert np.prod(list(mpi3d.FACTORS.values())) == 1_036_800
    assert np.prod(list(mpi3d.COMPLEX.factors.values())) == 460_800
    assert list(mpi3d.COMPLEX.factors) == list(mpi3d.FACTORS)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
@pytest.mark.parametrize("unpacked", [False, True])
def test_digits_are_read_in_order_without_factors(name, unpacked, tmp_path):
    images = miniatures.mnist(tmp_path, unpacked)
    dataset = load(name, tmp_path)
    assert (len(dataset), dataset.channels, dataset.factor_names) == (10, 1, ())
    for number in range(10):
        assert (dataset.uint8(np.array([number]))[0, ..., 0] == shrunk(images[number])).all()
    padded = load(name, tmp_path, resize="pad")
    assert (padded.uint8(np.array([7]))[0, ..., 0] == shrunk(np.pad(images[7], 2))).all()


def test_the_files_of_the_other_set_are_refused(tmp_path, monkeypatch):
    miniatures.mnist(tmp_path)
    digest = hashlib.md5((tmp_path / "t10k-images-idx3-ubyte.gz").read_bytes()).hexdigest()
    train, test = digits.FILES["fashion_mnist"]
    monkeypatch.setitem(digits.FILES, "fashion_mnist", (train, replace(test, checksum=f"md5:{digest}")))
    with pytest.raises(UserError, match="t10k-images-idx3-ubyte.gz is the file of fashion_mnist, which has the same"):
        load("mnist", tmp_path)
    assert len(load("fashion_mnist", tmp_path)) == 10


@pytest.mark.parametrize("unpacked", [False, True])
def test_celeba_has_its_attributes_as_a_table(unpacked, tmp_path):
    levels, attributes = miniatures.celeba(tmp_path / "celeba", unpacked=unpacked)
    dataset = load("celeba", tmp_path / "celeba" / ("img_align_celeba" if unpacked else ""))
    assert dataset.factor_names == ("Bald", "Smiling", "Young") and not dataset.is_grid
    assert (dataset.index_to_factors(np.arange(6)) == (attributes + 1) // 2).all()
    pixels = dataset.uint8(np.arange(6)).astype(int)
    assert (np.abs(pixels - levels[:, None, None, None]) <= 2).all()  # JPEG's


def test_celeba_is_never_fetched(tmp_path):
    page = "http://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
    with pytest.raises(UserError, match=f"img_align_celeba.zip must be downloaded by hand: get it at {page}"):
        load_dataset("celeba", tmp_path, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_a_face_that_is_missing_is_named(tmp_path):
    miniatures.celeba(tmp_path, unpacked=True)
    (tmp_path / "img_align_celeba" / "000003.jpg").unlink()
    with pytest.raises(UserError, match="img_align_celeba/000003.jpg is missing"):
        load("celeba", tmp_path)


def test_a_row_of_too_many_attributes_is_one_line(tmp_path):
    miniatures.celeba(tmp_path)
    path = tmp_path / "list_attr_celeba.txt"
    path.write_text(path.read_text().replace("000002.jpg", "000002.jpg 1 1 1 1"))
    with pytest.raises(UserError, match="expected a count, a line of names.*get it again") as caught:
        load("celeba", tmp_path)
    assert "\n" not in str(caught.value)


def test_chairs_are_in_the_lists_order(tmp_path):
    images = miniatures.chairs3d(tmp_path)
    dataset = load("chairs3d", tmp_path)
    assert (dataset.factor_names, dataset.factor_sizes) == (("model", "elevation", "azimuth"), (2, 2, 3))
    for (chair, p, t), pixels in images.items():
        image = one(dataset, chair, (20, 30).index(p), (11, 23, 348).index(t))
        assert (image == shrunk(pixels)).all()
    grey = load("chairs3d", tmp_path, channels=1)
    assert (one(grey, 1, 1, 1)[..., 0] == shrunk(np.asarray(Image.fromarray(images[1, 30, 23]).convert("L")))).all()
    assert np.prod(list(chairs3d.FACTORS.values())) == 86_366


DAMAGE = {
    "cars3d": (miniatures.cars3d, "nips2015-analogy-data.tar.gz"),
    "smallnorb": (miniatures.smallnorb, "smallnorb-5x46789x9x18x6x2x96x96-training-dat.mat.gz"),
    "mnist": (miniatures.mnist, "train-images-idx3-ubyte.gz"),
    "celeba": (miniatures.celeba, "img_align_celeba.zip"),
    "chairs3d": (miniatures.chairs3d, "rendered_chairs.tar"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_files_cut_short_are_one_line_and_leave_no_copy(name, tmp_path):
    write, file = DAMAGE[name]
    write(tmp_path)
    content = (tmp_path / file).read_bytes()
    (tmp_path / file).write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=f"{file}.*expected") as caught:
        load(name, tmp_path)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("*.npy*"))


def test_a_damaged_beginning_is_one_line(tmp_path):
    miniatures.chairs3d(tmp_path)
    path = tmp_path / "rendered_chairs.tar"
    path.write_bytes(b"nothing" + path.read_bytes()[7:])
    with pytest.raises(UserError, match=r"rendered_chairs.tar: expected a whole archive.*fetch it again") as caught:
        load("chairs3d", tmp_path)
    assert "\n" not in str(caught.value)


def test_sizes_beyond_all_memory_are_damage(tmp_path):
    miniatures.mnist(tmp_path, unpacked=True)
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:8] + b"\x7f" * 8)
    with pytest.raises(UserError, match="damaged"):
        load("mnist", tmp_path)


def test_a_file_of_another_kind_is_told_by_its_beginning(tmp_path):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"\x00\x00\x0d\x03" + bytes(16))
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(b"nothing"))
    with pytest.raises(UserError, match=r"damaged one \(it starts with b'\\x00\\x00\\r\\x03'"):
        load("mnist", tmp_path)


@pytest.mark.parametrize("name", DATASETS)
def test_every_set_has_a_module_that_says_what_it_is(name):
    assert describe(name).startswith(name)
    if name not in ("images", "arrays", "dsprites", "shapes3d", "color_dsprites", "noisy_dsprites"):
        with pytest.raises(UserError, match=f"--data-path is needed for --dataset {name}: name "):
            check_data_path(name, None)
