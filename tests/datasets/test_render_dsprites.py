"""The dSprites replica: its file, its order, and the shapes in it."""

import errno
import zipfile
from pathlib import Path

import numpy as np
import pytest

from datasets.render import kept_indices
from datasets.render.__main__ import main
from datasets.render.dsprites import FACTORS, FILE_NAME, VALUES, draw, render_file
from datasets.render.outlines import OUTLINES, filled_pixels, rotated
from system.errors import UserError

EVERY = {"scale": 5, "orientation": 13, "pos_x": 31, "pos_y": 10}  # sizes 2, 4, 2, 4
SIZES = (3, 2, 4, 2, 4)


# 160 official frames. They were recorded while one factor after another went through every second of its values, so
# a list of those walks names the factors of each.
FRAMES = Path(__file__).parents[1] / "data" / "dsprites_frames.npz"


def factors_of_frames():
    heart, ellipse, square = 2, 1, 0
    rows = []

    def walk(shape, column, values, scale=5, **fixed):
        for value in values:
            row = [shape, scale, 0, fixed.get("x", 0), fixed.get("y", 0)]
            row[column] = value
            rows.append(row)

    there, back = [*range(2, 31, 2), 31], [*range(29, 0, -2), 0]
    for shape in (heart, ellipse, square):
        walk(shape, 1, [0, 2, 4, 5, 3, 1, 0, 2, 4, 5])
        walk(shape, 2, [*range(2, 39, 2), 39])
        if shape == heart:
            walk(shape, 4, there)
            walk(shape, 3, there, y=31)
            walk(shape, 4, back, x=31)
            walk(shape, 3, back)
        walk(shape, 1, [3, 1])
    return np.array(rows)


def test_drawn_images_are_identical_to_official_frames():
    frames = np.load(FRAMES, allow_pickle=False)["images"]
    factors = factors_of_frames()
    assert len(frames) == len(factors) == 160
    assert (draw(factors)[..., 0] == frames).all()


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return render_file(tmp_path_factory.mktemp("replica"), progress=False, every=EVERY)


@pytest.fixture(scope="module")
def arrays(path):
    with np.load(path, allow_pickle=False) as content:
        return {name: content[name] for name in ("imgs", "latents_values", "latents_classes", "replica")}


def factors_of(classes):
    """The classes of the small file as factors of the whole set."""
    return classes[:, 1:] * [EVERY.get(name, 1) for name in FACTORS]


def test_file_has_the_official_name_arrays_and_types(path, arrays):
    n = np.prod(SIZES)
    assert path.name == FILE_NAME == "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz"
    assert arrays["imgs"].dtype == np.uint8 and arrays["imgs"].shape == (n, 64, 64)
    assert arrays["latents_values"].dtype == np.float64 and arrays["latents_values"].shape == (n, 6)
    assert arrays["latents_classes"].dtype == np.int64 and arrays["latents_classes"].shape == (n, 6)
    assert set(np.unique(arrays["imgs"])) == {0, 1}


def test_file_says_without_a_pickle_that_it_is_a_replica(arrays):
    assert arrays["replica"].shape == () and arrays["replica"].dtype.kind == "U"
    assert "replica" in str(arrays["replica"])


def test_metadata_is_one_object_under_its_official_name(path):
    with zipfile.ZipFile(path) as archive, archive.open("metadata.npy") as member:
        np.lib.format.read_magic(member)
        shape, _, dtype = np.lib.format.read_array_header_1_0(member)
        pickled = member.read()
    assert shape == () and dtype.kind == "O"
    for key in ("latents_names", "latents_sizes", "latents_possible_values", "Replica of"):
        assert key.encode() in pickled


def test_rows_are_in_row_major_order_with_the_official_values(arrays):
    classes = arrays["latents_classes"]
    assert (np.ravel_multi_index(classes.T, (1, *SIZES)) == np.arange(len(classes))).all()
    values = arrays["latents_values"]
    factors = factors_of(classes)
    assert (values[:, 0] == 1).all()
    assert set(values[:, 1]) == {1, 2, 3}
    assert np.allclose(values[:, 2], 0.5 + 0.1 * factors[:, 1])
    assert np.allclose(values[:, 3], 2 * np.pi * factors[:, 2] / 39)
    assert np.allclose(values[:, 4:], factors[:, 3:] / 31)


def test_file_has_the_images_that_draw_makes_of_its_factors(arrays):
    assert (draw(factors_of(arrays["latents_classes"]))[..., 0] == arrays["imgs"]).all()


def test_whole_set_has_737280_images():
    assert np.prod(list(FACTORS.values())) == 737_280
    assert [len(v) for v in VALUES.values()] == [1, *FACTORS.values()]


def test_upright_squares_have_even_sides_of_10_to_20_pixels():
    images = draw([[0, scale, 0, 0, 0] for scale in range(6)])[..., 0]  # [6, 64, 64]
    for side, image in zip(range(10, 22, 2), images, strict=True):
        half = side // 2
        expected = np.zeros((64, 64), np.uint8)
        expected[16 - half : 16 + half, 16 - half : 16 + half] = 1
        assert (image == expected).all()


def test_centres_move_over_32_pixels_to_the_right_and_downwards():
    corners = draw([[1, 3, 0, x, y] for x in (0, 31) for y in (0, 31)])[..., 0]  # [4, 64, 64]
    for image, (x, y) in zip(corners[1:], ((0, 32), (32, 0), (32, 32)), strict=True):
        assert (image == np.roll(corners[0], (y, x), axis=(0, 1))).all()


def test_orientation_covers_a_full_turn_with_both_ends():
    grid = np.array([[shape, scale, 0, 7, 20] for shape in range(3) for scale in range(6)])
    assert (draw(grid) == draw(grid + [0, 0, 39, 0, 0])).all()


def test_heart_has_its_tip_below_and_is_mirror_symmetric():
    image = draw([[2, 5, 0, 0, 0]])[0, :, :, 0]
    assert (image[:, :32] == image[:, 31::-1]).all()
    rows = image.sum(1)[image.any(1)]
    assert rows[-1] == 2 and rows[:8].max() == 20
    assert image[7, 16] == 0 and image[7, 11] == 1  # the cleft


def test_rising_orientation_turns_the_tip_of_the_heart_to_the_right():
    image = draw([[2, 5, 10, 0, 0]])[0, :, :, 0]  # 92 degrees
    rows, columns = np.nonzero(image)
    assert columns.mean() < 14 and abs(rows.mean() - 15.5) < 0.5  # the lobes are on the left
    assert 14 <= rows[columns == columns.max()].mean() <= 17  # the tip is in the middle, on the right


def test_images_differ_where_factors_do():
    grid = np.indices((3, 6, 1, 8, 8)).reshape(5, -1).T * [1, 1, 1, 4, 4]
    assert len({image.tobytes() for image in draw(grid)}) == len(grid)


def test_orientations_of_the_heart_differ():
    grid = np.array([[2, scale, orientation, 3, 9] for scale in range(6) for orientation in range(39)])
    assert len({image.tobytes() for image in draw(grid)}) == len(grid)


def test_pixels_are_covered_where_their_centres_are_inside():
    """Against the textbook test of one point at a time, away from the 1/256 pixel that vertices are rounded to."""
    for shape, angle in ((0, 0.3), (1, 1.1), (2, 2.0)):
        outline = 60 * rotated(OUTLINES[shape], angle)
        image = filled_pixels(outline, np.array([30.3]), np.array([33.8]))[0, 0]
        ax, ay = (outline + [30.3, 33.8]).T  # [v]
        bx, by = np.roll(ax, -1), np.roll(ay, -1)
        x, y = np.arange(64)[None, :, None] + 0.5, np.arange(64)[:, None, None] + 0.5
        crossed = ((ay > y) != (by > y)) & (x < ax + (y - ay) * (bx - ax) / np.where(by == ay, 1, by - ay))
        inside = crossed.sum(-1) % 2  # [64, 64]
        along = np.clip(((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / ((bx - ax) ** 2 + (by - ay) ** 2), 0, 1)
        distance = np.hypot(x - ax - along * (bx - ax), y - ay - along * (by - ay)).min(-1)  # [64, 64]
        clear = distance > 1 / 256
        assert clear.mean() > 0.99 and 100 < inside.sum() < 1500
        assert (image == inside)[clear].all()


def test_polygons_that_share_an_edge_cover_every_pixel_once():
    corners = np.array([[1.5, 2.5], [41.5, 2.5], [50.5, 60.5], [3.5, 44.5]])
    middle = np.array([23.5, 30.5])
    whole = filled_pixels(corners, np.zeros(1), np.zeros(1))[0, 0]
    parts = [
        filled_pixels(np.array([corners[i], corners[(i + 1) % 4], middle]), np.zeros(1), np.zeros(1))[0, 0]
        for i in range(4)
    ]
    assert whole.sum() > 1500
    assert (np.sum(parts, axis=0) == whole).all()


def test_centres_on_left_and_upper_edges_are_covered_and_on_right_and_lower_ones_not():
    image = filled_pixels(np.array([[2.5, 3.5], [6.5, 3.5], [6.5, 9.5], [2.5, 9.5]]), np.zeros(1), np.zeros(1))[0, 0]
    expected = np.zeros((64, 64), np.uint8)
    expected[3:9, 2:6] = 1
    assert (image == expected).all()


def test_draw_refuses_factors_out_of_range():
    with pytest.raises(ValueError, match="orientation goes from 0 to 39"):
        draw([[0, 0, 40, 0, 0]])


def test_every_keeps_each_kth_value_from_the_first():
    kept = kept_indices(FACTORS, {"pos_x": 10})
    assert kept["pos_x"].tolist() == [0, 10, 20, 30] and len(kept["pos_y"]) == 32


@pytest.mark.parametrize("every", [{"colour": 2}, {"scale": 0}])
def test_every_refuses_what_makes_no_sense(every, tmp_path):
    with pytest.raises(UserError, match="--every"):
        render_file(tmp_path, progress=False, every=every)


def test_directory_that_cannot_be_made_is_a_user_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file"):
        render_file(tmp_path / "file", progress=False, every=EVERY)


def test_replica_is_drawn_anew_but_no_other_file_is_overwritten(tmp_path):
    every = {"scale": 6, "orientation": 40, "pos_x": 32, "pos_y": 16}
    path = render_file(tmp_path, progress=False, every=every)
    assert render_file(tmp_path, progress=False, every=every) == path
    path.write_bytes(b"something else")
    with pytest.raises(UserError, match="not a replica"):
        render_file(tmp_path, progress=False, every=every)
    assert path.read_bytes() == b"something else"


def test_full_disk_is_a_user_error_and_leaves_nothing(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "open", full)
    with pytest.raises(UserError, match="No space left on device; free some space"):
        render_file(tmp_path, progress=False, every=EVERY)
    assert list(tmp_path.iterdir()) == []


def test_command_line_draws_into_a_directory(tmp_path, capsys):
    options = [f"--every={name}={k}" for name, k in {**EVERY, "pos_y": 31}.items()]
    assert main(["dsprites", str(tmp_path / "new"), "--quiet", *options]) == 0
    path = tmp_path / "new" / FILE_NAME
    assert capsys.readouterr().out == f"{path}\n"
    assert np.load(path, allow_pickle=False)["imgs"].shape == (3 * 2 * 4 * 2 * 2, 64, 64)


@pytest.mark.parametrize(
    "arguments",
    [[], ["dsprites"], ["faces", "x"], ["dsprites", "x", "--every", "pos_x"], ["dsprites", "x", "--every", "hue=2"]],
)
def test_command_line_answers_bad_input_with_one_line(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("error: ") and captured.err.count("\n") == 1
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
