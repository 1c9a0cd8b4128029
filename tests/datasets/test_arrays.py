"""Images of one's own in an array."""

import os
import zipfile

import h5py
import numpy as np
import pytest

from datasets import array_file, check_data_path, load_dataset
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


@pytest.mark.parametrize(
    "number", [int, float, "{:.1f}".format, "{:+d}".format, lambda i: f" {i} ", lambda i: 10 * i**31]
)
def test_texts_that_are_all_numbers_are_ordered_as_numbers(tmp_path, suffix, number):
    """Otherwise 10 would come before 2, and step scores and pictures would follow that order."""
    levels = np.random.RandomState(3).randint(-12, 13, 200)
    factors = np.array([["square", str(number(level))] for level in levels.tolist()])
    dataset = load(write(tmp_path / f"a{suffix}", images=np.repeat(IMAGES[:1], 200, axis=0), factors=factors))
    expected = np.unique(levels, return_inverse=True)[1]
    assert (dataset.index_to_factors(np.arange(200))[:, 1] == expected).all()


def test_texts_of_which_one_is_no_number_are_ordered_as_texts(tmp_path, suffix):
    for other in ("ten", "nan", "inf", ""):
        factors = np.array(["10", "2", other] * 8)
        dataset = load(write(tmp_path / f"{other}{suffix}", images=IMAGES, factors=factors))
        expected = np.unique(factors, return_inverse=True)[1]
        assert (dataset.index_to_factors(np.arange(24))[:, 0] == expected).all()


@pytest.mark.parametrize("scale", [1.0, -3.7, 1e6, 1e-6])
def test_levels_that_differ_by_rounding_are_one(tmp_path, suffix, scale):
    levels = np.random.RandomState(4).randint(0, 12, 300)
    values = scale * np.linspace(0, 1, 12)[levels]
    half = np.arange(300) % 2 == 0
    values = np.where(half, values.astype(np.float32).astype(np.float64), values)
    dataset = load(write(tmp_path / f"a{suffix}", images=np.repeat(IMAGES[:1], 300, axis=0), factors=values))
    assert dataset.factor_sizes == (12,)
    expected = levels if scale > 0 else 11 - levels
    assert (dataset.index_to_factors(np.arange(300))[:, 0] == expected).all()


def test_masks_of_one_keep_thin_objects_as_masks_of_255_do(tmp_path, suffix):
    mask = np.zeros((3, 256, 256), np.uint8)
    mask[:, 100, 20:236] = 1
    one, many = (load(write(tmp_path / f"{v}{suffix}", images=v * mask)).batch(np.arange(3)).numpy() for v in (1, 255))
    assert (one == many).all() and one.max() > 0.1


def test_an_image_of_0_and_1_among_others_is_nearly_black(tmp_path, suffix):
    images = np.zeros((2, 128, 128), np.uint8)
    images[0], images[1] = np.eye(128, dtype=np.uint8), 200
    assert load(write(tmp_path / f"a{suffix}", images=images)).uint8(np.array([0])).max() <= 1


def test_a_file_replaced_by_one_of_equal_size_and_date_is_read_again(tmp_path):
    for value in (10, 20):
        np.savez(tmp_path / "a.npz", images=np.full((3, 64, 64), value, np.uint8))
        os.utime(tmp_path / "a.npz", (0, 0))
        assert (load(tmp_path / "a.npz").uint8(np.arange(3)) == value).all()


@pytest.mark.parametrize("shape", [(-5, 64, 64), (2**70, 64, 64), (2**40, 2**40, 2**40)])
def test_a_header_of_impossible_size_is_refused(tmp_path, shape):
    described = b"{'descr': '|u1', 'fortran_order': False, 'shape': %s, }" % str(shape).encode()
    header = b"\x93NUMPY\x01\x00" + len(described).to_bytes(2, "little") + described
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        file.writestr("images.npy", header + b"0" * 100)
    with pytest.raises(UserError, match=r"a\.npz: expected images to be a NumPy array"):
        load(tmp_path / "a.npz")


def test_the_source_tells_other_images_and_other_factors_in_a_file_of_the_same_name_apart(tmp_path, suffix):
    made = {"images": IMAGES, "factors": GRID}
    for name, change in (
        ("a", {}),
        ("same", {}),
        ("images", {"images": 255 - IMAGES}),
        ("factors", {"factors": GRID[:, :2]}),
    ):
        (tmp_path / name).mkdir()
        write(tmp_path / name / f"a{suffix}", **{**made, **change})
    a, same, *others = (load(tmp_path / name / f"a{suffix}").source for name in ("a", "same", "images", "factors"))
    assert a == same and a.startswith(f"a{suffix}, crc32 ") and len({a, *others}) == 3


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


def test_more_images_than_are_read_at_once(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr(array_file, "PIECE", 2**20)
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
    "one picture": ({"images": IMAGES[0]}, r"images \[64, 64, 3\] are one picture.*save images\[None\]"),
    "no images": ({"pictures": IMAGES}, "expected an array images, found"),
    "other length": ({"images": IMAGES, "factors": GRID[:-1]}, r"expected factors \[24, k\].*found int64 \[23, 3\]"),
    "NaN": ({"images": IMAGES, "factors": np.full((24, 1), np.nan)}, "factors hold NaN or infinity"),
    "names": ({"images": IMAGES, "factors": GRID, "factor_names": ["a", "a", "b"]}, "expected 3 different names"),
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


def test_a_name_may_be_one_text_or_hold_any_bytes(tmp_path, suffix):
    one = write(tmp_path / f"a{suffix}", images=IMAGES, factors=GRID[:, 0], factor_names="size")
    assert load(one).factor_names == ("size",)
    bytes_ = write(tmp_path / f"b{suffix}", images=IMAGES, factors=GRID[:, 0], factor_names=np.array([b"\xff"]))
    assert load(bytes_).factor_names == ("\\xff",)


@pytest.mark.parametrize(("value", "said"), [(0, "black"), (1, "1 is taken as white"), (2, "")])
def test_images_that_are_black_or_masks_are_told(value, said, tmp_path, suffix, capsys):
    load(write(tmp_path / f"a{suffix}", images=np.full((2, 8, 8), value, np.uint8)))
    assert said in (told := capsys.readouterr().err) and bool(said) == bool(told)


def test_fortran_order_is_refused_with_the_remedy(tmp_path):
    with pytest.raises(UserError, match=r"Fortran order: save np.ascontiguousarray\(images\)"):
        load(write(tmp_path / "a.npz", images=np.asfortranarray(IMAGES)))


NO_ARRAYS = {
    "a group": (lambda file, name: file.create_group(name), "found a group"),
    "empty": (lambda file, name: file.create_dataset(name, data=h5py.Empty("u1")), "found an empty array"),
    "a type": (lambda file, name: file.__setitem__(name, np.dtype("u1")), "found a datatype"),
    "a broken link": (
        lambda file, name: file.__setitem__(name, h5py.SoftLink("/no")),
        "is a link to what is not there",
    ),
}


@pytest.mark.parametrize("name", ["images", "factors", "factor_names"])
@pytest.mark.parametrize("kind", NO_ARRAYS)
def test_what_is_no_array_of_an_hdf5_file_is_named(kind, name, tmp_path):
    make, message = NO_ARRAYS[kind]
    others = {other: array for other, array in {"images": IMAGES, "factors": GRID}.items() if other != name}
    path = write(tmp_path / "a.h5", **others)
    with h5py.File(path, "a") as file:
        make(file, name)
    with pytest.raises(UserError, match=f"{name} .*{message}|expected {name} to be an array, {message}"):
        load(path)


@pytest.mark.parametrize("dtype", [h5py.vlen_dtype(np.int32), h5py.ref_dtype])
def test_objects_of_an_hdf5_file_are_no_factors(dtype, tmp_path):
    path = write(tmp_path / "a.h5", images=IMAGES)
    with h5py.File(path, "a") as file:
        file.create_dataset("factors", (24,), dtype=dtype)
    with pytest.raises(UserError, match="expected factors.*found object"):
        load(path)


def test_one_number_is_no_image(tmp_path):
    with pytest.raises(UserError, match=r"expected images uint8.*found \[\]"):
        load(write(tmp_path / "a.h5", images=np.uint8(3)))


def _linked(file, parts):
    file["images"] = h5py.ExternalLink(parts.name, "/images")


def _virtual(file, parts):
    layout = h5py.VirtualLayout(IMAGES.shape, np.uint8)
    layout[:] = h5py.VirtualSource(parts.name, "images", IMAGES.shape)
    file.create_virtual_dataset("images", layout)


def _external(file, parts):
    with h5py.File(parts) as other:
        offset = other["images"].id.get_offset()
    file.create_dataset("images", IMAGES.shape, np.uint8, external=[(str(parts), offset, IMAGES.nbytes)])


@pytest.mark.parametrize("refer", [_linked, _virtual, _external])
def test_images_that_lie_in_another_file_are_refused(refer, tmp_path):
    path, parts = tmp_path / "a.h5", tmp_path / "parts.h5"
    write(parts, images=IMAGES)
    with h5py.File(path, "w") as file:
        refer(file, parts)
    with pytest.raises(UserError, match="images lies in other files, which are not read: save it in this one"):
        load(path)


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
        ("pipe", "is not a file: name a .npz"),
    ],
)
def test_other_paths_are_refused_before_the_work(name, message, tmp_path):
    (tmp_path / "a.tsv").write_text("1\t2\n")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match=message):
        check_data_path("arrays", tmp_path / name)


def test_a_file_that_cannot_be_read_is_not_called_damaged():
    # reading another process's memory at address 0 is an error of the disk to whoever tries
    with pytest.raises(UserError, match=r"--data-path /proc/self/mem cannot be read \(Input/output error\)"):
        check_data_path("arrays", "/proc/self/mem")
