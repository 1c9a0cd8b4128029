"""A folder of pictures of one's own."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets import check_data_path, image_folder, load_dataset
from datasets.resizing import is_grey, resized
from system.errors import UserError
from tests.powerless import mode


@pytest.fixture
def folder(tmp_path):
    """Six pictures, no two alike in format and place."""
    folder = tmp_path / "pictures"
    (folder / "below").mkdir(parents=True)
    noise = np.random.RandomState(0).randint(0, 256, (6, 80, 100, 3)).astype(np.uint8)
    places = ["b.png", "a.jpg", "below/c.webp", "below/d.BMP", "e.jpeg", "0.png"]
    for place, pixels in zip(places, noise, strict=True):
        Image.fromarray(pixels).save(folder / place)
    return folder


def load(folder, **options):
    return load_dataset("images", folder, progress=False, **options)


def test_every_picture_below_is_there_in_the_order_of_the_paths(folder):
    dataset = load(folder)
    files = ["0.png", "a.jpg", "b.png", "below/c.webp", "below/d.BMP", "e.jpeg"]
    assert (len(dataset), dataset.channels, dataset.factor_names) == (6, 3, ())
    for number, file in enumerate(files):
        with Image.open(folder / file) as image:
            expected = resized(image, 3, "crop")
        assert (dataset.uint8(np.array([number]))[0] == expected).all(), file
    assert dataset.index_to_factors(np.arange(6)).shape == (6, 0)


def test_the_copy_is_mapped_and_made_once(folder, is_mapped):
    first = load(folder)
    copies = list(folder.parent.glob("pictures.*.npy"))
    assert [copy.name for copy in copies] == ["pictures.crop.64x64x3.npy"]
    before = copies[0].stat().st_mtime_ns
    assert is_mapped(load(folder).images) and is_mapped(first.images)
    assert copies[0].stat().st_mtime_ns == before


def test_a_copy_of_a_version_that_read_pixels_in_another_way_is_made_again(folder, monkeypatch):
    load(folder)
    (copy,) = folder.parent.glob("pictures.*.npy")
    before = copy.stat().st_mtime_ns
    monkeypatch.setattr(image_folder, "READING", image_folder.READING + 1)
    load(folder)
    assert copy.stat().st_mtime_ns != before


def test_a_picture_added_or_changed_is_seen(folder):
    load(folder)
    Image.new("RGB", (70, 70), "red").save(folder / "z.png")
    assert len(load(folder)) == 7
    Image.new("RGB", (70, 70), "blue").save(folder / "z.png")
    assert load(folder).uint8(np.array([6])).reshape(-1, 3)[0].tolist() == [0, 0, 255]


def test_grey_files_stay_grey_unless_told_otherwise(tmp_path):
    for number, kind in enumerate(["L", "1", "LA"]):
        Image.new(kind, (64, 64)).save(tmp_path / f"{number}.png")
    assert load(tmp_path).channels == 1
    assert load(tmp_path, channels=3).channels == 3
    Image.new("RGB", (64, 64)).save(tmp_path / "9.png")
    assert load(tmp_path).channels == 3
    assert load(tmp_path, channels=1).channels == 1


def test_modes_without_colours_are_grey():
    grey = [
        kind
        for kind in ("1", "L", "LA", "I", "I;16", "F", "P", "RGB", "RGBA", "CMYK")
        if is_grey(Image.new(kind, (1, 1)))
    ]
    assert grey == ["1", "L", "LA", "I", "I;16", "F"]


def test_the_orientation_that_a_camera_notes_is_applied(tmp_path):
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:32] = 255  # white above
    exif = Image.Exif()
    exif[0x0112] = 3  # the camera was upside down
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    image = load(tmp_path).uint8(np.array([0]))[0]
    assert image[:32].max() == 0 and image[32:].min() == 255


def test_crop_pad_and_stretch_do_what_they_say(tmp_path):
    pixels = np.zeros((64, 128), np.uint8)
    pixels[:, 32:96] = 255  # the square in the middle
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    crop, pad, stretch = (
        load(tmp_path, resize=way).uint8(np.array([0]))[0, ..., 0] for way in ("crop", "pad", "stretch")
    )
    assert crop.min() == 255
    assert pad[:16].max() == pad[48:].max() == 0 and pad[20:44, 20:44].min() == 255
    assert stretch[:, 20:44].min() == 255 and stretch[:, :12].max() == 0
    assert len(list(tmp_path.parent.glob(f"{tmp_path.name}.*.npy"))) == 3


@pytest.mark.parametrize(("largest", "white"), [(1, 1), (7, 255), (200, 255), (511, 511), (4095, 4095), (65000, 65535)])
def test_sixteen_bits_are_scaled_by_the_bits_that_the_files_use(tmp_path, capsys, largest, white):
    """Whichever of the pictures holds the largest value; of 10 or 12 bits, all levels that eight can hold are kept."""
    ramp = np.linspace(0, largest, 64 * 64).astype(np.uint16).reshape(64, 64)
    Image.fromarray(ramp // 2).save(tmp_path / "a.png")
    Image.fromarray(ramp).save(tmp_path / "b.png")
    for _ in range(2):  # when it is packed, and when the copy is used again
        pixels = load(tmp_path).uint8(np.arange(2))[..., 0]
        assert (pixels[1] == np.rint(ramp * (255 / white))).all()
        assert (pixels[0] == np.rint(ramp // 2 * (255 / white))).all()
        assert f"use values up to {white}" in capsys.readouterr().err


def test_transparency_becomes_white(tmp_path):
    Image.new("RGBA", (64, 64), (255, 0, 0, 0)).save(tmp_path / "b.png")
    assert (load(tmp_path).uint8(np.array([0])) == 255).all()


@pytest.mark.parametrize("colours", [1, 3])
def test_masks_of_one_keep_thin_objects_as_masks_of_255_do(tmp_path, colours):
    mask = np.zeros((3, 256, 256, colours), np.uint8)
    mask[0, 100, 20:236] = 1
    mask[1, 40:200, 77, 0] = 1
    pixels = {}
    for value in (1, 255):
        folder = tmp_path / str(value)
        folder.mkdir()
        for number, image in enumerate(value * mask):
            Image.fromarray(image.squeeze()).save(folder / f"{number}.png")
        pixels[value] = load(folder).batch(np.arange(3)).numpy()
    assert (pixels[1] == pixels[255]).all()
    assert pixels[1][:2].max(axis=(1, 2, 3)).min() > 0.1


def test_a_picture_of_0_and_1_among_others_is_nearly_black(tmp_path):
    Image.fromarray(np.eye(128, dtype=np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(np.full((128, 128), 2, np.uint8)).save(tmp_path / "b.png")
    assert load(tmp_path).uint8(np.array([0])).max() <= 1


@pytest.mark.parametrize("number", [errno.EIO, errno.EMFILE, errno.ENOMEM])
def test_a_passing_error_ends_the_command_and_leaves_no_picture_out(folder, monkeypatch, number):
    opened = Image.open

    def failing(file, *args, **kwargs):
        if Path(file).name == "b.png":
            raise OSError(number, os.strerror(number), str(file))
        return opened(file, *args, **kwargs)

    monkeypatch.setattr(Image, "open", failing)
    with pytest.raises(UserError, match=r"b\.png cannot be read at the moment .*: repeat"):
        load(folder)
    monkeypatch.setattr(Image, "open", opened)
    assert len(load(folder)) == 6


def test_a_picture_replaced_by_one_of_equal_size_and_date_is_read_again(tmp_path):
    for value in (10, 20):
        Image.fromarray(np.full((64, 64), value, np.uint8)).save(tmp_path / "a.bmp")
        os.utime(tmp_path / "a.bmp", (0, 0))
        assert (load(tmp_path).uint8(np.array([0])) == value).all()


@pytest.mark.parametrize(("largest", "white"), [(1, 1.0), (2, 2 / 255), (255, 1.0)])
def test_the_one_of_masks_is_white(tmp_path, capsys, largest, white):
    mask = np.eye(64, dtype=np.uint8)
    for number, value in enumerate((1, largest)):
        Image.fromarray(value * mask).save(tmp_path / f"{number}.png")
    dataset = load(tmp_path)
    assert dataset.batch(np.array([1]))[0, 0].numpy() == pytest.approx(white * mask)
    assert ("1 is taken as white" in capsys.readouterr().err) == (largest == 1)


def test_pictures_that_are_all_black_are_told(tmp_path, capsys):
    Image.fromarray(np.zeros((64, 64), np.uint16)).save(tmp_path / "a.png")
    load(tmp_path)
    assert "every picture is black" in capsys.readouterr().err


def test_links_to_folders_are_followed_once(folder):
    outside = folder.parent / "outside"
    outside.mkdir()
    Image.new("RGB", (64, 64)).save(outside / "a.png")
    (outside / "back").symlink_to(folder)
    (folder / "link").symlink_to(outside)
    (folder / "again").symlink_to(outside)
    assert len(load(folder)) == 7


def test_files_that_cannot_be_read_are_named_and_skipped(folder, capsys):
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nand no more")
    whole = (folder / "b.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "text.jpg").write_text("not a picture")
    (folder / "gone.png").symlink_to(folder / "nowhere.png")
    for _ in range(2):  # when it is packed, and when the copy is used again
        assert len(load(folder)) == 6
        said = capsys.readouterr().err
        assert said == "skipped 4 files that cannot be read: broken.png, cut.png, gone.png, text.jpg\n"


def test_a_folder_with_nothing_readable_is_refused(tmp_path):
    (tmp_path / "text.jpg").write_text("not a picture")
    with pytest.raises(UserError, match=f"{tmp_path}: none of the 1 images can be read"):
        load(tmp_path)


def test_a_link_into_a_folder_without_permission_is_named_and_skipped(folder, capsys):
    (folder.parent / "shut").mkdir()
    (folder / "link.png").symlink_to(folder.parent / "shut" / "a.png")
    with mode(folder.parent / "shut", 0):
        assert len(load(folder)) == 6
    assert "skipped 1 files that cannot be read: link.png" in capsys.readouterr().err


def test_pipes_are_not_waited_for(folder):
    os.mkfifo(folder / "pipe.png")
    assert len(load(folder)) == 6


def test_a_folder_may_have_any_name(folder):
    odd = folder.rename(os.fsdecode(os.fsencode(folder) + b"\xff\n"))
    assert len(load(odd)) == 6


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere", "does not exist"),
        ("file.png", "is not a folder: --dataset images wants a folder"),
        ("empty", "no .png, .jpg, .jpeg, .webp, .bmp file is in it"),
        ("link", "is a link to .*nowhere, which is not there"),
    ],
)
def test_paths_that_are_no_folder_of_pictures(path, message, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / ".hidden.png").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    Image.new("L", (64, 64)).save(tmp_path / "file.png")
    with pytest.raises(UserError, match=f"--data-path .*{path}.*{message}"):
        check_data_path("images", tmp_path / path)


def test_a_path_is_needed(capsys):
    with pytest.raises(UserError, match="--data-path is needed for --dataset images: name a folder of pictures"):
        check_data_path("images", None)


def test_unknown_ways_are_refused(folder):
    with pytest.raises(UserError, match="--resize squash: give crop or pad or stretch"):
        check_data_path("images", folder, resize="squash")
    with pytest.raises(UserError, match="--fixed_shape 1 does nothing for --dataset images: leave it out"):
        check_data_path("images", folder, fixed_shape=1)


def test_a_folder_below_that_cannot_be_read_is_told(folder):
    with mode(folder / "below", 0), pytest.raises(UserError, match=r"below cannot be read \(Permission denied\)"):
        check_data_path("images", folder)
