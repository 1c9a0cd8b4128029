"""The 3D Shapes replica: its file, its order, what is in the pictures, and how close they are to real ones."""

import resource
from pathlib import Path

import h5py
import numpy as np
import pytest

from benchmarks.fidelity import best_shapes3d, side_by_side
from benchmarks.fidelity import main as fidelity
from datasets.render.__main__ import main
from datasets.render.scene import CAPSULE, CUBE, CYLINDER, SPHERE
from datasets.render.shapes3d import FACTOR_VALUES, FILE_NAME, draw, render_file
from datasets.shapes3d import load
from system.errors import UserError

EVERY = {"floor_hue": 5, "wall_hue": 9, "object_hue": 4, "scale": 7, "shape": 1, "orientation": 7}
SIZES = (2, 2, 3, 2, 4, 3)
SKY = [153, 226, 249]
SAMPLES = Path(__file__).parent.parent / "data" / "shapes3d_samples.npz"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return render_file(tmp_path_factory.mktemp("replica"), progress=False, every=EVERY)


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


def test_file_has_the_official_name_arrays_and_types(path):
    assert path.name == FILE_NAME == "3dshapes.h5"
    with h5py.File(path) as file:
        assert set(file) == {"images", "labels"}
        assert file["images"].dtype == np.uint8 and file["images"].shape == (np.prod(SIZES), 64, 64, 3)
        assert file["labels"].dtype == np.float64 and file["labels"].shape == (np.prod(SIZES), 6)
        assert "not the published pixels" in file.attrs["replica"]


def test_labels_are_in_row_major_order_with_the_official_values(path):
    with h5py.File(path) as file:
        labels = file["labels"][()]
    classes = np.stack(np.unravel_index(np.arange(len(labels)), SIZES), axis=-1) * list(EVERY.values())
    assert np.allclose(labels[:, :3], classes[:, :3] * 0.1)
    assert np.allclose(labels[:, 3], 0.75 + classes[:, 3] * 0.5 / 7)
    assert np.allclose(labels[:, 4], classes[:, 4])
    assert np.allclose(labels[:, 5], -30 + classes[:, 5] * 60 / 14)


def test_whole_set_has_480000_images():
    assert [len(values) for values in FACTOR_VALUES.values()] == [10, 10, 10, 8, 4, 15]


def test_file_has_the_images_that_draw_makes_of_its_factors(path):
    classes = np.stack(np.unravel_index(np.arange(np.prod(SIZES)), SIZES), axis=-1) * list(EVERY.values())
    with h5py.File(path) as file:
        assert (file["images"][()] == draw(classes)).all()


def test_images_of_different_factors_differ(path):
    with h5py.File(path) as file:
        images = file["images"][()]
    assert len({image.tobytes() for image in images}) == len(images)


def test_neighbouring_orientations_and_scales_differ():
    turned = draw([[0, 3, 6, 0, SPHERE, orientation] for orientation in range(15)])
    scaled = draw([[0, 3, 6, scale, CAPSULE, 7] for scale in range(8)])
    assert len({image.tobytes() for image in turned}) == 15
    assert len({image.tobytes() for image in scaled}) == 8


def test_the_loader_reads_the_replica_as_one(path):
    dataset = load(path, progress=False)
    assert dataset.source == "replica" and dataset.factor_sizes == SIZES
    index = dataset.factors_to_index([[1, 0, 2, 1, 3, 1]])
    assert (dataset.uint8(index) == draw([[5, 0, 8, 7, 3, 7]])).all()


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
    errors, factors = best_shapes3d(images[:2], every, progress=False)
    drawn = draw(every).astype(np.int16)
    for image, error, found in zip(images[:2], errors, factors, strict=True):
        all_errors = np.abs(drawn - image).mean((1, 2, 3))
        assert error == pytest.approx(all_errors.min())
        assert (found == every[all_errors.argmin()]).all()


def test_side_by_side_holds_real_and_drawn_images(samples, tmp_path):
    from PIL import Image

    images, nearest = samples
    drawn = draw(nearest[:3])
    side_by_side(images[:3], drawn, tmp_path / "sheet.png", columns=2, zoom=1)
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert sheet.shape == (2 * 68, 2 * 196, 3)
    assert (sheet[70:134, 2:66] == images[2]).all() and (sheet[2:66, 196 + 66 : 196 + 130] == drawn[1]).all()


def test_fidelity_refuses_other_images(tmp_path, capsys):
    np.save(tmp_path / "frames.npy", np.zeros((2, 32, 32, 3), np.uint8))
    assert fidelity(["shapes3d", str(tmp_path / "frames.npy")]) == 2
    assert "expected uint8 images [n, 64, 64, 3], found uint8 [2, 32, 32, 3]" in capsys.readouterr().err


def test_unknown_factor_is_one_line(tmp_path, capsys):
    assert main(["shapes3d", str(tmp_path), "--every", "colour=2"]) == 2
    assert "floor_hue" in capsys.readouterr().err


def test_a_file_in_the_way_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="name a directory that can be written"):
        render_file(tmp_path / "file", progress=False, every=EVERY)


def test_replica_is_drawn_anew_but_no_other_file_is_overwritten(tmp_path):
    one = {name: len(values) for name, values in FACTOR_VALUES.items()}
    path = render_file(tmp_path, progress=False, every=one)
    assert render_file(tmp_path, progress=False, every=one) == path
    path.write_bytes(b"the official file")
    with pytest.raises(UserError, match="is not a replica"):
        render_file(tmp_path, progress=False, every=one)
    assert path.read_bytes() == b"the official file"


def test_a_failing_disk_leaves_no_half_file(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**15, hard))
    try:
        with pytest.raises(UserError, match=r"cannot write .*3dshapes.h5 \(File too large\)") as caught:
            render_file(tmp_path, progress=False, every=EVERY)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(str(caught.value).splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
