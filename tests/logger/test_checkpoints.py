"""Checkpoint files: what is kept, what is found damaged, what a full disk leaves."""

import errno
import os
import resource
from argparse import Namespace

import numpy as np
import pytest
import torch

from logger import checkpoints, runs
from logger.run_directory import RunDirectory
from logger.runs import claim
from models.vae import VAE
from system import files
from system.command_line import CommandLine
from system.errors import UserError
from system.files import load_tensors, write_tensors
from system.processes import Group


class Model(VAE):
    def __init__(self):
        super().__init__(1, 2, networks=None)
        self.encoder = torch.nn.Linear(3, 4)
        self.decoder = torch.nn.Linear(4, 3)


@pytest.fixture
def run(tmp_path) -> RunDirectory:
    return claim(tmp_path / "logs")


@pytest.fixture
def model() -> Model:
    return Model()


def save(run, model, step: int, optimisers=None) -> None:
    optimisers = optimisers or model.make_optimisers(0.1)
    checkpoints.save(run, model, optimisers, {"step": step}, {"seed": 1})


def load(run):
    return checkpoints.load_training(run)


def step(run) -> int:
    return load(run)["progress"]["step"]


def test_the_last_two_are_kept(run, model):
    for n in range(4):
        save(run, model, n)
    assert sorted(os.listdir(run.checkpoints)) == ["model.pt", "training.previous.pt", "training.pt"]
    assert step(run) == 3
    run.training_file.unlink()  # as after a kill between the two renames
    assert step(run) == 2


def test_kept_weights_are_written_beside_those_of_the_run(run, model):
    kept = run.kept_file(4)
    checkpoints.save(run, model, model.make_optimisers(0.1), {"step": 1}, {}, kept)
    assert torch.equal(load_tensors(run.model_file)["encoder.weight"], model.encoder.weight)
    with torch.no_grad():
        model.encoder.weight.add_(1)
    save(run, model, 2)
    before, after = (load_tensors(file)["encoder.weight"] for file in (kept, run.model_file))
    assert torch.equal(before + 1, after)


def test_weights_to_start_from_are_of_the_recorded_model_or_of_the_named_one(run, model):
    run.write_args({"model": "recorded"})
    save(run, model, 1)
    for path, name in ((run.path, "recorded"), (run.model_file, "named")):
        weights, trained_as = checkpoints.load_base(path, "named")
        assert trained_as == name and weights.keys() == model.reference_state_dict().keys()


def test_a_run_without_a_checkpoint_has_none(run):
    assert load(run) is None


def test_every_flipped_byte_is_found_or_harmless(run, model, capsys):
    for n in (1, 2):
        save(run, model, n)
    content = run.training_file.read_bytes()
    expected = load(run)
    found_at = 0
    for at in range(0, len(content), 407):
        run.training_file.write_bytes(content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :])
        found = load(run)
        if found["progress"]["step"] == 1:
            assert f"warning: {run.training_file}" in capsys.readouterr().err
            found_at += 1
        else:  # a date, say
            assert all(torch.equal(found["model"][name], value) for name, value in expected["model"].items())
            assert found["progress"] == expected["progress"]
    assert found_at > len(content) / 407 / 3


def test_the_middle_byte_of_the_weights_is_found_in_both_files(run, model):
    save(run, model, 1)
    for file in (run.training_file, run.model_file):
        content = bytearray(file.read_bytes())
        weights = model.encoder.weight.detach().numpy().tobytes()
        content[content.index(weights) + len(weights) // 2] ^= 0xFF
        file.write_bytes(content)
    with pytest.raises(UserError, match=r"training\.pt is damaged \(the checksum of .* is wrong\)"):
        load(run)
    with pytest.raises(UserError, match=r"model\.pt is damaged \(the checksum of .* is wrong\)"):
        checkpoints.load_weights(Model(), run.model_file)


def test_an_archive_that_would_unpack_to_more_than_it_is_is_refused(run, model):
    import zipfile

    save(run, model, 1)
    with zipfile.ZipFile(run.training_file) as stored:
        parts = {name: stored.read(name) for name in stored.namelist()}
    with zipfile.ZipFile(run.training_file, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in parts.items():
            packed.writestr(name, content)
    with pytest.raises(UserError, match="a compressed archive"):
        load(run)


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW, torch.optim.Adafactor, torch.optim.NAdam])
def test_a_run_goes_on_whatever_its_optimiser_keeps_for_a_parameter(kind, run, model):
    trained, fresh = (kind(one.parameters(), lr=0.1) for one in (model, Model()))
    sum(p.sum() for p in model.parameters()).backward()
    trained.step()
    save(run, model, 1, {"vae": trained})
    checkpoints.restore(Model(), {"vae": fresh}, checkpoints.load_training(run))
    assert fresh.state_dict()["state"].keys() == trained.state_dict()["state"].keys()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", {}),
        ("optimisers", {}),
        ("optimisers", {"vae": {"state": {}}}),
        ("random", {}),
        ("random", {"python": 1}),
    ],
)
def test_a_checkpoint_of_another_model_is_refused_in_one_line(run, model, name, value):
    save(run, model, 1)
    content = load_tensors(run.training_file)
    write_tensors({**content, name: value}, run.training_file)
    found = checkpoints.load_training(run)
    with pytest.raises(UserError, match="does not fit this run"):
        checkpoints.restore(model, model.make_optimisers(0.1), found)


def test_weights_to_score_that_are_not_finite_or_do_not_fit_are_refused(run, model):
    save(run, model, 1)
    weights = load_tensors(run.model_file)
    write_tensors({**weights, "encoder.weight": torch.full((4, 3), float("nan"))}, run.model_file)
    with pytest.raises(UserError, match=r"holds weights that are not finite \(encoder\.weight\)"):
        checkpoints.load_weights(Model(), run.model_file)
    for wrong in ({}, [1], "text", {**weights, "encoder.weight": 7}, {**weights, "more": torch.zeros(1)}):
        write_tensors(wrong, run.model_file)
        with pytest.raises(UserError, match="does not fit the model"):
            checkpoints.load_weights(Model(), run.model_file)


def test_every_truncation_is_found(run, model, capsys):
    for n in (1, 2):
        save(run, model, n)
    content = run.training_file.read_bytes()
    for length in np.linspace(0, len(content) - 1, 12, dtype=int):
        run.training_file.write_bytes(content[:length])
        assert step(run) == 1
        assert f"{run.training_file} is damaged" in capsys.readouterr().err


def test_where_all_are_damaged_it_is_an_error(run, model):
    save(run, model, 1)
    run.training_file.write_bytes(b"not a checkpoint")
    with pytest.raises(UserError, match="is damaged"):
        load(run)


def test_weights_that_are_not_finite_are_not_saved(run, model):
    save(run, model, 1)
    with torch.no_grad():
        model.encoder.weight[0, 0] = float("nan")
    with pytest.raises(UserError, match=r"encoder\.weight are not finite after step 2"):
        save(run, model, 2)
    assert step(run) == 1
    assert not run.previous_training_file.exists()


def test_moments_of_the_optimiser_that_are_not_finite_are_not_saved(run, model):
    save(run, model, 1)
    optimisers = model.make_optimisers(0.1)
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 1e30)  # finite, and its square is not
    (optimiser,) = optimisers.values()
    optimiser.step()
    with pytest.raises(UserError, match="exp_avg_sq of the optimiser vae is not finite after step 2"):
        save(run, model, 2, optimisers)
    assert step(run) == 1


def test_a_full_disk_is_one_clear_line_and_leaves_the_last_checkpoint(run, model, monkeypatch):
    save(run, model, 1)

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(UserError, match=r"cannot write .*training\.pt: No space left on device; free some space"):
        save(run, model, 2)
    monkeypatch.undo()
    assert step(run) == 1
    assert sorted(os.listdir(run.checkpoints)) == ["model.pt", "training.pt"]


@pytest.mark.parametrize("written", [0, 1])
def test_a_disk_that_is_full_after_some_files_leaves_weights_of_the_same_step_in_both(run, model, monkeypatch, written):
    save(run, model, 1)
    with torch.no_grad():
        model.encoder.bias += 1
    flush, done = os.fsync, []

    def full(file):
        if len(done) == written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done.append(file)
        flush(file)

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(UserError, match="No space left on device"):
        save(run, model, 2)
    monkeypatch.undo()
    assert len(done) == written and step(run) == 1
    assert torch.equal(load_tensors(run.model_file)["encoder.bias"], load(run)["model"]["encoder.bias"])


def test_a_run_with_checkpoints_stays_also_if_it_fails_between_the_two_renames(model, tmp_path, monkeypatch):
    rename = os.replace

    def stale(source, target):
        if target == run.training_file:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        rename(source, target)

    args = Namespace(log_path=str(tmp_path / "logs"), seed=1, load_model=False, resume="no")
    command = CommandLine(args, frozenset())
    with (
        pytest.raises(UserError, match="Stale file handle"),
        runs.opened(command, lambda args: None, Group()) as (_, run),
    ):
        for n in (1, 2):
            save(run, model, n)
        monkeypatch.setattr(files.os, "replace", stale)
        save(run, model, 3)
    assert step(run) == 2


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
