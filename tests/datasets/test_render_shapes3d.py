"""The 3D Shapes replica: its order, what is in the pictures, and how close they are to real ones."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.fidelity import main as fidelity
from benchmarks.fidelity import nearest as nearest_drawn
from datasets.render.scene import CAPSULE, CUBE, CYLINDER, SPHERE
from datasets.render.shapes3d import FACTOR_VALUES, all_images, draw

SKY = [153, 226, 249]
SAMPLES = Path(__file__).parent.parent / "data" / "shapes3d_samples.npz"


@pytest.fixture(scope="module")
def samples():
    """Real images, and the classes of the drawn images that are nearest to them."""
    with np.load(SAMPLES, allow_pickle=False) as content:
        return content["images"], content["nearest"]


def geometry(scale=4, shape=CUBE, orientation=7):
    """A picture of a red room's green floor (hue 0.3), with a blue object (hue 0.6)."""
    return draw([[3, 0, 6, scale, shape, orientation]])[0].astype(int)


def object_pixels(image):
    return (image[..., 2] > 120) & (image[..., 0] < 100)


def test_whole_set_has_480000_images():
    assert [len(values) for values in FACTOR_VALUES.values()] == [10, 10, 10, 8, 4, 15]


@pytest.mark.slow
def test_all_images_are_those_that_draw_makes_of_their_factors_in_row_major_order():
    pieces, geometries = all_images(), np.indices((8, 4, 15)).reshape(3, -1).T  # [480, 3]
    for hue in range(3):
        factors = np.column_stack([np.tile([0, 0, hue], (480, 1)), geometries])
        images = draw(factors)
        assert (next(pieces) == images).all()
        assert len({image.tobytes() for image in images}) == 480


def test_neighbouring_orientations_and_scales_differ():
    turned = draw([[0, 3, 6, 0, SPHERE, orientation] for orientation in range(15)])
    scaled = draw([[0, 3, 6, scale, CAPSULE, 7] for scale in range(8)])
    assert len({image.tobytes() for image in turned}) == 15
    assert len({image.tobytes() for image in scaled}) == 8


def test_factors_out_of_range_are_refused():
    for factors in ([[10, 0, 0, 0, 0, 0]], [[0, 0, 0, -1, 0, 0]], [[0, 0, 0, 0, 4, 0]]):
        with pytest.raises(ValueError, match="factors must lie in"):
            draw(factors)


def test_hues_colour_their_own_parts():
    reference = draw([[0, 3, 6, 4, SPHERE, 7]])[0].astype(int)
    for factor, place in ((0, (60, 4)), (1, (30, 4)), (2, (44, 32))):
        factors = [0, 3, 6, 4, SPHERE, 7]
        factors[factor] = 8
        changed = np.abs(draw([factors])[0] - reference).sum(-1) > 0
        assert changed[place] and not changed[:8].any()
        others = [spot for spot in ((60, 4), (30, 4), (44, 32)) if spot != place]
        assert not any(changed[other] for other in others)


def test_sky_is_above_and_has_no_hue():
    for factors in ([0, 0, 0, 0, 0, 0], [9, 4, 2, 3, CYLINDER, 12]):
        assert (draw([factors])[0, :8] == SKY).all()


def test_objects_grow_by_the_ratio_of_their_scales():
    for shape in (CUBE, CYLINDER, SPHERE, CAPSULE):
        small, large = (object_pixels(geometry(scale, shape)).sum() for scale in (0, 7))
        # (1.25 / 0.75)^2 = 2.8, and the larger object's front is nearer to the camera.
        assert 2.6 < large / small < 3.6


def test_shapes_have_their_outlines():
    heights, widths, corners = {}, {}, {}
    for shape in (CUBE, CYLINDER, SPHERE, CAPSULE):
        rows, columns = np.nonzero(object_pixels(geometry(7, shape)))
        heights[shape], widths[shape] = np.ptp(rows) + 1, np.ptp(columns) + 1
        corners[shape] = len(rows) / (heights[shape] * widths[shape])  # share of the box around it
    assert heights[CAPSULE] > 1.8 * widths[CAPSULE]
    assert all(heights[shape] < 1.3 * widths[shape] for shape in (CUBE, CYLINDER, SPHERE))
    assert corners[CUBE] > 0.93 and abs(corners[SPHERE] - np.pi / 4) < 0.04


def test_the_object_casts_a_shadow_beside_it_to_the_right():
    for shape in (CUBE, CYLINDER, SPHERE, CAPSULE):
        image = geometry(5, shape)
        dark = (image[44:, :, 1] < 120) & (image[44:, :, 2] < 40)  # green floor in the shadow
        assert dark.sum() > 12
        assert np.nonzero(dark)[1].mean() > 32


def test_the_corner_of_the_room_moves_with_the_orientation():
    left, middle, right = (geometry(0, SPHERE, orientation)[28, :, 0] for orientation in (14, 7, 0))
    # A side wall is less bright than the back wall.
    assert left[2] < 0.9 * left[40] and right[61] < 0.9 * right[24]
    assert min(middle[2], middle[61]) > 0.9 * middle.max()
    edge = [int(np.argmax(geometry(0, SPHERE, o)[28, 40:, 0] < 210)) for o in (0, 2, 4)]
    assert edge[0] < edge[1] < edge[2]


def test_a_cube_shows_a_second_face_when_it_is_turned():
    def shades(orientation):
        row = geometry(7, CUBE, orientation)[40]
        return (np.unique(row[object_pixels(row), 2], return_counts=True)[1] > 3).sum()  # edges have few pixels

    assert shades(7) == 1 and shades(14) == 2


def test_real_images_have_near_drawn_ones(samples):
    images, nearest = samples
    errors = np.abs(draw(nearest).astype(int) - images).mean((1, 2, 3))
    assert errors.max() < 6 and errors.mean() < 4


def test_search_finds_the_nearest_of_all_images(samples):
    images, nearest = samples
    geometries = np.concatenate([nearest[:1, 3:], [[0, SPHERE, 3]]])
    hues = 2 * np.stack(np.unravel_index(np.arange(125), (5, 5, 5)), axis=-1)
    every = np.concatenate([np.concatenate([hues, np.tile(g, (125, 1))], axis=1) for g in geometries])  # [250, 6]
    likeness, factors = nearest_drawn("shapes3d", images[:2], every, progress=False)
    drawn = draw(every).astype(np.int16)
    for image, alike, found in zip(images[:2], likeness, factors, strict=True):
        all_errors = np.abs(drawn - image).mean((1, 2, 3))
        assert -alike == pytest.approx(all_errors.min())
        assert (found == every[all_errors.argmin()]).all()


def test_fidelity_refuses_other_images(tmp_path, capsys):
    np.save(tmp_path / "frames.npy", np.zeros((2, 32, 32, 3), np.uint8))
    assert fidelity(["shapes3d", str(tmp_path / "frames.npy")]) == 2
    assert "expected images [64, 64, 3] of shapes3d, found uint8 (2, 32, 32, 3)" in capsys.readouterr().err
