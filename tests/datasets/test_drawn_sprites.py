"""The random variants of dSprites: the same image whenever it is asked for, and truly random."""

import hashlib

import numpy as np
import pytest
from PIL import Image

import main
from datasets import check_data_path, load_dataset
from datasets.drawn_sprites import PAINTING, SEEDS, random_bytes, random_words
from system.errors import UserError

NAMES = ["color_dsprites", "noisy_dsprites", "scream_dsprites"]
EVERY = np.arange(144)


@pytest.fixture
def folder(tmp_path, dsprites_file):
    """dSprites of 144 images, and a picture in the painting's place."""
    _, images = dsprites_file(tmp_path / "data")
    pixels = np.random.RandomState(0).randint(0, 256, (300, 400, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "data" / "scream.jpg")
    return tmp_path / "data", images.astype(bool)


def load(name, folder, **options):
    return load_dataset(name, folder, progress=False, **options)


@pytest.mark.parametrize("name", NAMES)
def test_an_image_is_a_function_of_its_index_and_the_seed(name, folder):
    dataset = load(name, folder[0])
    whole = dataset.uint8(EVERY)
    mixed = np.random.RandomState(1).permutation(144)
    assert (load(name, folder[0]).uint8(mixed) == whole[mixed]).all()
    assert all((dataset.uint8(np.array([i]))[0] == whole[i]).all() for i in (0, 17, 143))
    assert (load(name, folder[0], data_seed=0).uint8(EVERY) == whole).all()
    other = load(name, folder[0], data_seed=1).uint8(EVERY)
    assert (other != whole).any(axis=(1, 2, 3)).all()
    batch = dataset.batch(mixed)
    assert batch.shape == (144, 3, 64, 64)
    assert (batch.permute(0, 2, 3, 1).numpy() == whole[mixed] / np.float32(255)).all()


@pytest.mark.parametrize("name", NAMES)
def test_factors_and_shapes_are_those_of_dsprites(name, folder):
    base = load("dsprites", folder[0])
    dataset = load(name, folder[0])
    assert (dataset.factor_names, dataset.factor_sizes) == (base.factor_names, base.factor_sizes)
    assert len(load(name, folder[0], fixed_shape=1)) == 48


def test_colours_fill_the_sprite_and_nothing_else(folder):
    path, sprites = folder
    images = load("color_dsprites", path).uint8(EVERY)
    colours = images.max(axis=(1, 2))  # [144, 3]
    assert (images == sprites[..., None] * colours[:, None, None]).all()
    assert colours.min() >= 128 and len(np.unique(colours, axis=0)) == 144
    many = random_bytes(0, np.arange(20_000), 3) | 128
    assert np.abs(many.mean(axis=0) - 191.5).max() < 1.5  # uniform from 128 to 255: 37 / sqrt(20,000) = 0.26


def test_noise_fills_the_background_and_nothing_else(folder):
    path, sprites = folder
    images = load("noisy_dsprites", path).uint8(EVERY)
    assert (images[sprites] == 255).all()
    background = images[~sprites].astype(float)  # [m, 3]
    assert np.abs(background.mean(axis=0) - 127.5).max() < 0.5  # 74 / sqrt(294,000) = 0.14
    assert np.abs(np.corrcoef(background.T) - np.eye(3)).max() < 0.01  # channels are independent


def test_sprites_invert_a_shifted_patch_of_the_painting(folder):
    path, sprites = folder
    with Image.open(path / "scream.jpg") as image:
        image.thumbnail((350, 274), Image.Resampling.BICUBIC)
        painting = np.asarray(image).astype(int)
    images = load("scream_dsprites", path).uint8(EVERY).astype(int)
    for number in (0, 143):
        flat = np.where(sprites[number][..., None], 255 - images[number], images[number])  # [64, 64, 3]
        # value = (patch + shift) // 2: twice the value less the patch is the shift, up to the half that was cut
        fits = 0
        for row in range(painting.shape[0] - 64):
            columns = np.lib.stride_tricks.sliding_window_view(painting[row], 64, axis=0)[:-1]  # [columns, 3, 64]
            shift = 2 * flat[0].T - columns
            (found,) = np.nonzero(np.ptp(shift, axis=2).max(axis=1) <= 1)
            for column in found:
                whole = 2 * flat - painting[row : row + 64, column : column + 64]
                fits += np.ptp(whole, axis=(0, 1)).max() <= 1
        assert fits == 1


def test_random_words_are_uniform_and_independent():
    words = random_words(3, np.arange(4096), 64)  # [4096, 64]
    bits = (words[..., None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    shares = bits.mean(axis=(0, 1))  # of each bit
    assert np.abs(shares - 0.5).max() < 0.005  # sqrt(1/4 / 262,144) = 0.001
    assert len(np.unique(words)) == words.size
    unit = words / 2.0**64 - 0.5
    for a, b in ((unit[:-1], unit[1:]), (unit[:, :-1], unit[:, 1:])):  # neighbouring images, neighbouring pixels
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.01  # 1 / sqrt(262,000) = 0.002
    first, second = (random_words(seed, np.arange(4096), 64) for seed in (3, 4))
    assert abs(np.corrcoef(first.ravel() / 2.0**64, second.ravel() / 2.0**64)[0, 1]) < 0.01


def test_random_bytes_are_the_same_on_every_machine():
    """The values of SplitMix64, so that an image of a seed and an index never changes."""
    assert random_words(0, np.array([0]), 2)[0].tolist() == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]
    digest = hashlib.sha256(random_bytes(7, np.arange(100), 12288).tobytes()).hexdigest()
    assert digest == "df73318c474407708a802d4b38229f96f5f12dbfb0fa9e93536ef556077f5108"


def test_a_painting_too_small_or_broken_is_refused(folder):
    path, _ = folder
    Image.new("RGB", (60, 60)).save(path / "scream.jpg")
    with pytest.raises(UserError, match="too small for patches of 64x64"):
        load("scream_dsprites", path)
    (path / "scream.jpg").write_bytes(PAINTING.magic + b"and no more")
    with pytest.raises(UserError, match="scream.jpg cannot be read as a picture"):
        load("scream_dsprites", path)


def test_they_cannot_be_copied_to_a_device(folder):
    with pytest.raises(UserError, match="--data-on-device: these images are generated on access"):
        load("noisy_dsprites", folder[0]).to_device("cpu")


def test_the_replica_of_dsprites_serves_the_variants(cache, dsprites_file, capsys):
    dsprites_file(cache / "dsprites")
    assert len(load("color_dsprites", None)) == 144
    assert f"using the replica of dsprites in {cache / 'dsprites'}" in capsys.readouterr().err


def test_only_random_sets_take_a_seed(folder):
    with pytest.raises(UserError, match="--data-seed 1 does nothing for --dataset dsprites"):
        check_data_path("dsprites", folder[0], data_seed=1)


def test_the_command_line_takes_the_seeds_that_the_data_sets_take():
    assert main.parse([f"--data-seed={SEEDS[-1]}"]).args.data_seed == SEEDS[-1]
    with pytest.raises(UserError, match="--data-seed: .* is more than"):
        main.parse([f"--data-seed={SEEDS.stop}"])
