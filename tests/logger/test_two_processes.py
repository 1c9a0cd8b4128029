"""One run over two processes equals one over one, and survives the death of one of them."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from kill_places import signalled
from run_contents import LIE_GROUP, scalars, training_state

# 36 images in batches of 7: uneven parts, and a last batch of one image, which leaves one process with none.
ROOT = Path(__file__).resolve().parents[2]
FLAGS = (*LIE_GROUP, "--batch-size", "7", "--max-steps", "20", "--epochs", "4", "--learning-rate", "1e-4")


@pytest.fixture
def pair(start):
    """pair(log_path, *flags) -> two processes, started as torchrun starts them; `second`: more environment of one."""

    def pair(log_path: Path, *flags, restarts: int = 0, second=None):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        world = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        world |= {"TORCHELASTIC_RESTART_COUNT": str(restarts), "TORCHELASTIC_RUN_ID": str(log_path)}
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


@pytest.mark.slow
def test_ten_restarts_by_torchrun_go_on_with_their_own_run_to_the_same_bits(uninterrupted, data, tmp_path):
    """A worker is killed after each attempt's first checkpoint; beside the run lies a newer one, interrupted."""
    logs, flags = tmp_path / "logs", [*FLAGS, "--max-steps", "300", "--epochs", "50", "--checkpoint-steps", "4"]
    how = ["--dataset", "dsprites", "--data-path", str(data), "--model", "lie_group", "--quiet", "--seed", "5"]
    how += [
        "--latents",
        "4",
        "--visualise",
        "no",
        "--end-metrics",
        "no",
        "--num-threads",
        "1",
        "--device",
        "cpu",
        "--split",
        "0.25",
    ]
    torchrun = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node=2",
        "--max-restarts=10",
    ]
    torchrun += ["--monitor-interval=0.1", "main.py", *how, *flags, "--log-path"]

    def run(log_path: Path, kills: int) -> tuple[int, str]:
        with open(tmp_path / f"{kills}.txt", "w") as output:
            agent = subprocess.Popen([*torchrun, str(log_path)], cwd=ROOT, stdout=output, stderr=output)
            step = 0
            for attempt in range(kills):
                step = step_after(log_path / "version_0", step, agent)
                workers = [int(p) for p in Path(f"/proc/{agent.pid}/task/{agent.pid}/children").read_text().split()]
                os.kill(workers[attempt % 2], signal.SIGKILL)
                if attempt == 0:
                    shutil.copytree(log_path / "version_0", log_path / "version_7")  # another launch's, interrupted
                    (log_path / "version_7" / "status.json").write_text(json.dumps({"state": "interrupted"}))
                wait_for_other_workers(agent.pid, workers)
            return agent.wait(), (tmp_path / f"{kills}.txt").read_text()

    status, text = run(logs, 10)
    assert status == 0, text[-3000:]
    assert run(tmp_path / "whole", 0)[0] == 0
    assert sorted(path.name for path in logs.glob("version_*")) == ["version_0", "version_7"]
    a, b = (training_state(folder / "version_0") for folder in (logs, tmp_path / "whole"))
    assert a["progress"] == b["progress"] and a["progress"]["step"] == 300
    assert all(torch.equal(value, b["model"][name]) for name, value in a["model"].items())


def step_after(run: Path, step: int, agent: subprocess.Popen) -> int:
    """The step of the next checkpoint of the run after this one."""
    end = time.monotonic() + 60
    while time.monotonic() < end and agent.poll() is None:
        with contextlib.suppress(Exception):  # there is none yet
            if (found := training_state(run)["progress"]["step"]) > step:
                return found
        time.sleep(0.05)
    raise AssertionError(f"no checkpoint after step {step}")


def wait_for_other_workers(agent: int, before: list[int]) -> None:
    """Until torchrun has started new processes."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        now = {int(p) for p in Path(f"/proc/{agent}/task/{agent}/children").read_text().split()}
        if len(now) == 2 and not now & set(before):
            return
        time.sleep(0.05)
    raise AssertionError("no restart")


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"WORLD_SIZE": "two"}, "the environment variable WORLD_SIZE is 'two', not a number: start main.py"),
        ({"WORLD_SIZE": "2"}, "the environment variable RANK is not set, but WORLD_SIZE is"),
        ({"WORLD_SIZE": "2", "RANK": "0", "MASTER_PORT": "1"}, "WORLD_SIZE is 2, but MASTER_ADDR is not set"),
    ],
)
def test_leftovers_of_torchrun_are_told_in_one_line(start, tmp_path, environment, said):
    process = start(tmp_path / "logs", *FLAGS, environment=environment)
    assert process.wait() == 2
    assert said in process.text and process.text.count("\n") == 1


def test_who_waits_for_others_says_so_and_is_ended_by_a_signal(start, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    process = start(tmp_path / "logs", *FLAGS, environment=environment)
    end = time.monotonic() + 30
    while f"waiting for 2 processes at 127.0.0.1:{port}" not in process.text and time.monotonic() < end:
        time.sleep(0.1)
    process.signal(signal.SIGTERM)
    assert process.wait() == 75
