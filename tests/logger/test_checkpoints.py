"""Checkpoint files: what is kept, what is found damaged, what a full disk leaves."""

import errno
import os
import resource

import numpy as np
import pytest
import torch

from logger import checkpoints
from logger.run_directory import RunDirectory
from models.vae import VAE
from system import files
from system.errors import UserError


class Model(VAE):
    def __init__(self):
        super().__init__(1, 2)
        self.encoder = torch.nn.Linear(3, 4)
        self.decoder = torch.nn.Linear(4, 3)


@pytest.fixture
def run(tmp_path) -> RunDirectory:
    return RunDirectory.claim(tmp_path / "logs")


@pytest.fixture
def model() -> Model:
    return Model()


def save(run, model, step: int) -> None:
    checkpoints.save(run, model, model.make_optimisers(0.1), {"step": step}, {"seed": 1}, {"log_metrics.txt": 0})


def step(run) -> int:
    return checkpoints.load_training(run)["progress"]["step"]


def test_the_last_two_are_kept(run, model):
    for n in range(4):
        save(run, model, n)
    assert sorted(os.listdir(run.checkpoints)) == ["model.pt", "training.previous.pt", "training.pt"]
    assert step(run) == 3
    run.training_file.unlink()  # as after a kill between the two renames
    assert step(run) == 2


def test_a_run_without_a_checkpoint_has_none(run):
    assert checkpoints.load_training(run) is None


@pytest.mark.parametrize("where", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_flipped_byte_anywhere_is_found_or_harmless(where, run, model, capsys):
    for n in (1, 2):
        save(run, model, n)
    content = bytearray(run.training_file.read_bytes())
    expected = checkpoints.load(run.training_file)["model"]["encoder.weight"].clone()
    content[int(where * len(content))] ^= 0xFF
    run.training_file.write_bytes(content)
    found = checkpoints.load_training(run)
    if found["progress"]["step"] == 1:
        assert "warning" in capsys.readouterr().err
    assert torch.equal(found["model"]["encoder.weight"], expected)


def test_every_truncation_is_found(run, model, capsys):
    for n in (1, 2):
        save(run, model, n)
    content = run.training_file.read_bytes()
    for length in np.linspace(0, len(content) - 1, 25, dtype=int):
        run.training_file.write_bytes(content[:length])
        assert step(run) == 1
        assert f"{run.training_file} is damaged" in capsys.readouterr().err


def test_where_all_are_damaged_it_is_an_error(run, model):
    save(run, model, 1)
    run.training_file.write_bytes(b"not a checkpoint")
    with pytest.raises(UserError, match="is damaged"):
        checkpoints.load_training(run)


def test_weights_that_are_not_finite_are_not_saved(run, model):
    save(run, model, 1)
    with torch.no_grad():
        model.encoder.weight[0, 0] = float("nan")
    with pytest.raises(UserError, match=r"encoder\.weight are not finite after step 2"):
        save(run, model, 2)
    assert step(run) == 1
    assert not run.previous_training_file.exists()


def test_a_full_disk_is_one_clear_line_and_leaves_the_last_checkpoint(run, model, monkeypatch):
    save(run, model, 1)

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(UserError, match=r"cannot write .*model\.pt: No space left on device; free some space"):
        save(run, model, 2)
    monkeypatch.undo()
    assert step(run) == 1
    assert sorted(os.listdir(run.checkpoints)) == ["model.pt", "training.pt"]


def test_a_write_that_the_kernel_cuts_short_leaves_the_last_checkpoint(run, model):
    save(run, model, 1)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))  # Python ignores SIGXFSZ: the write fails
    try:
        with pytest.raises(UserError, match="File too large"):
            save(run, model, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert step(run) == 1


def test_random_states_come_back():
    states = checkpoints.random_states()
    first = torch.rand(3), np.random.rand(3)
    checkpoints.restore_random_states(states)
    again = torch.rand(3), np.random.rand(3)
    assert torch.equal(first[0], again[0]) and (first[1] == again[1]).all()
