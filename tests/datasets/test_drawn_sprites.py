"""The random variants of dSprites: the same image whenever it is asked for, and truly random."""

import numpy as np
import pytest

from datasets import load_dataset
from system.errors import UserError

EVERY = np.arange(144)


@pytest.fixture
def folder(tmp_path, dsprites_file):
    """dSprites of 144 images, and where its sprites are."""
    _, images = dsprites_file(tmp_path / "data")
    return tmp_path / "data", images.astype(bool)


def load(name, folder, **options):
    return load_dataset(name, folder, progress=False, **options)


@pytest.mark.parametrize("name", ["color_dsprites", "noisy_dsprites"])
def test_an_image_is_a_function_of_its_index_and_has_the_factors_of_dsprites(name, folder):
    base, dataset = load("dsprites", folder[0]), load(name, folder[0])
    whole, mixed = dataset.uint8(EVERY), np.random.RandomState(1).permutation(144)
    assert (load(name, folder[0]).uint8(mixed) == whole[mixed]).all()
    assert all((dataset.uint8(np.array([i]))[0] == whole[i]).all() for i in (0, 17, 143))
    batch = dataset.batch(mixed)
    assert batch.shape == (144, 3, 64, 64)
    assert (batch.permute(0, 2, 3, 1).numpy() == whole[mixed] / np.float32(255)).all()
    assert (dataset.factor_names, dataset.factor_sizes) == (base.factor_names, base.factor_sizes)
    assert len(load(name, folder[0], fixed_shape=1)) == 48


def test_colours_fill_the_sprite_and_nothing_else(folder):
    path, sprites = folder
    images = load("color_dsprites", path).uint8(EVERY)
    colours = images.max(axis=(1, 2))  # [144, 3]
    assert (images == sprites[..., None] * colours[:, None, None]).all()
    assert colours.min() >= 128 and len(np.unique(colours, axis=0)) == 144
    assert np.abs(colours.mean(axis=0) - 191.5).max() < 12  # uniform from 128 to 255: 37 / sqrt(144) = 3.1


def test_noise_fills_the_background_and_nothing_else(folder):
    path, sprites = folder
    images = load("noisy_dsprites", path).uint8(EVERY)
    assert (images[sprites] == 255).all()
    background = images[~sprites].astype(float)  # [m, 3]
    assert np.abs(background.mean(axis=0) - 127.5).max() < 0.5  # 74 / sqrt(294,000) = 0.14
    assert np.abs(np.corrcoef(background.T) - np.eye(3)).max() < 0.01  # channels are independent


def test_they_cannot_be_copied_to_a_device(folder):
    with pytest.raises(UserError, match="--data-on-device: these images are generated on access"):
        load("noisy_dsprites", folder[0]).to_device("cpu")
