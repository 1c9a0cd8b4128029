"""The dSprites replica: its order, and the shapes in it."""

from pathlib import Path

import numpy as np
import pytest

from datasets.render.dsprites import FACTORS, VALUES, draw, packed_images
from datasets.render.outlines import OUTLINES, filled_pixels, rotated

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


def test_all_images_are_those_that_draw_makes_of_their_factors_in_row_major_order():
    sprites = packed_images()
    for shape, scale, orientation in ((0, 0, 0), (0, 0, 1)):
        factors = np.array([[shape, scale, orientation, x, y] for x in range(32) for y in range(32)])
        assert (np.unpackbits(next(sprites), axis=1).reshape(-1, 64, 64, 1) == draw(factors)).all()


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
