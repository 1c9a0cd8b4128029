"""One run over two processes equals one over one, and survives the death of one of them."""

import signal
import socket
from pathlib import Path

import pytest
import torch
from kill_places import signalled
from run_contents import LIE_GROUP, scalars, training_state

# 36 images in batches of 7: uneven parts, and a last batch of one image, which leaves one process with none.
FLAGS = (*LIE_GROUP, "--batch-size", "7", "--max-steps", "20", "--epochs", "4", "--learning-rate", "1e-4")


@pytest.fixture
def pair(start):
    """pair(log_path, *flags) -> two processes, started as torchrun starts them; `second`: more environment of one."""

    def pair(log_path: Path, *flags, restarts: int = 0, second=None):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        world = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        world["TORCHELASTIC_RESTART_COUNT"] = str(restarts)
        environments = {**world, "RANK": "0"}, {**world, "RANK": "1", **(second or {})}
        return [start(log_path, *flags, environment=environment) for environment in environments]

    return pair


@pytest.mark.slow
def test_two_processes_at_half_the_batch_give_loss_and_parameters_of_one(pair, uninterrupted, tmp_path):
    processes = pair(tmp_path / "two", *FLAGS)
    assert [process.wait() for process in processes] == [0, 0], processes[0].text
    one, two = uninterrupted(*FLAGS), tmp_path / "two" / "version_0"
    assert [path.name for path in (tmp_path / "two").glob("version_*")] == ["version_0"]
    assert training_state(two)["progress"] == training_state(one)["progress"]
    expected, found = scalars(one), scalars(two)
    assert [(tag, step) for tag, step, _ in found] == [(tag, step) for tag, step, _ in expected]
    for (tag, step, value), (_, _, wanted) in zip(found, expected, strict=True):
        tolerance = 1e-5 if tag.endswith("/loss") else 2e-3  # Adam lets rounding grow in what has small gradients
        assert value == pytest.approx(wanted, rel=tolerance, abs=1e-6), (tag, step)
    assert relative_distance(two, one) < 3e-4


def relative_distance(run: Path, other: Path) -> float:
    """Between all parameters of two runs."""
    a, b = (torch.cat([value.flatten() for value in training_state(r)["model"].values()]) for r in (run, other))
    return ((a - b).norm() / b.norm()).item()


@pytest.mark.slow
def test_a_killed_process_ends_the_run_and_a_restart_goes_on_from_the_checkpoint(pair, uninterrupted, tmp_path):
    kill = signalled("step", 5, signal.SIGKILL)
    processes = pair(tmp_path / "lost", *FLAGS, "--checkpoint-steps", "2", second=kill)
    assert [process.wait() for process in processes] == [2, -signal.SIGKILL]
    assert "error: process 0 of 2 lost another one" in processes[0].text
    assert training_state(tmp_path / "lost" / "version_0")["progress"]["step"] == 4
    again = pair(tmp_path / "lost", *FLAGS, "--checkpoint-steps", "2", restarts=1)
    assert [process.wait() for process in again] == [0, 0], again[0].text
    assert "from step 4 of 20" in again[0].text
    one, two = uninterrupted(*FLAGS), tmp_path / "lost" / "version_0"
    tags = [(tag, at) for tag, at, _ in scalars(two)]
    assert tags == [(tag, at) for tag, at, _ in scalars(one)]
    assert relative_distance(two, one) < 3e-4


def test_a_signal_to_one_process_stops_both_after_the_same_step(pair, tmp_path):
    processes = pair(tmp_path / "stopped", *LIE_GROUP, second=signalled("step", 5, signal.SIGTERM))
    assert [process.wait() for process in processes] == [75, 75]
    assert training_state(tmp_path / "stopped" / "version_0")["progress"]["step"] == 5
    assert "stopped by a signal to another process" in processes[0].text


def test_an_error_of_the_leading_process_ends_both(pair, tmp_path):
    processes = pair(tmp_path / "none", "--load-model", "True")
    assert [process.wait() for process in processes] == [2, 2]
    assert "holds no run to continue" in processes[0].text
