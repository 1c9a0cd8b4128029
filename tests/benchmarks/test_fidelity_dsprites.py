"""The comparison of frames with all drawn dSprites."""

import numpy as np
import pytest

from benchmarks.fidelity import main, nearest, read_frames
from datasets.render.dsprites import FACTORS, draw
from system.errors import UserError

EVERY = {"scale": 5, "orientation": 13, "pos_x": 10, "pos_y": 10}
GRID = np.stack(
    np.meshgrid(*(np.arange(0, size, EVERY.get(name, 1)) for name, size in FACTORS.items()), indexing="ij"), axis=-1
).reshape(-1, len(FACTORS))  # [384, 5]


def test_closest_image_is_the_one_that_comparing_with_each_finds():
    images = draw(GRID)[..., 0].astype(bool)  # [384, 64, 64]
    frames = images[::29] ^ (np.random.RandomState(0).uniform(size=(14, 64, 64)) < 0.03)
    overlap, factors = nearest("dsprites", frames, GRID, progress=False)
    pairs = frames[:, None], images[None]
    expected = (pairs[0] & pairs[1]).sum((2, 3)) / (pairs[0] | pairs[1]).sum((2, 3))  # [14, 384]
    assert np.allclose(overlap, expected.max(1), rtol=0, atol=1e-6)
    assert (factors == GRID[expected.argmax(1)]).all()


def test_drawn_images_are_found_with_their_factors():
    wanted = GRID[[7, 133, 260]]
    overlap, factors = nearest("dsprites", draw(wanted)[..., 0].astype(bool), GRID, progress=False)
    assert (overlap == 1).all() and (factors == wanted).all()


def test_empty_frame_has_no_overlap():
    overlap, _ = nearest("dsprites", np.zeros((1, 64, 64), bool), GRID, progress=False)
    assert overlap.tolist() == [0]


@pytest.mark.parametrize("name", ["images", "imgs", "x"])
def test_frames_are_read_whatever_their_name(name, tmp_path):
    frames = draw(GRID[:3])
    np.savez(tmp_path / "frames.npz", labels=np.arange(3), **{name: frames})
    np.save(tmp_path / "frames.npy", frames)
    assert (read_frames(tmp_path / "frames.npz") == frames).all()
    assert (read_frames(tmp_path / "frames.npy") == frames).all()


def test_file_without_frames_is_refused_in_one_line(tmp_path, capsys):
    np.savez(tmp_path / "labels.npz", labels=np.arange(3))
    (tmp_path / "text.npz").write_text("no archive")
    np.save(tmp_path / "small.npy", np.zeros((3, 8, 8)))
    for name in ("labels.npz", "text.npz", "small.npy", "missing.npz"):
        assert main(["dsprites", str(tmp_path / name), "--quiet"]) == 2
        captured = capsys.readouterr()
        assert captured.out == "" and captured.err.startswith("error: ") and captured.err.count("\n") == 1
    with pytest.raises(UserError, match="labels.npz"):
        read_frames(tmp_path / "labels.npz")
