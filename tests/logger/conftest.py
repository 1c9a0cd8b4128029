"""Small data, and real processes that train on them."""

import functools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Three epochs of 9 steps; checkpoints at steps that are no multiples of an epoch's.
TINY = {
    "--dataset": "dsprites",
    "--model": "tiny",
    "--latents": "4",
    "--batch-size": "4",
    "--split": "0.25",
    "--learning-rate": "1e-3",
    "--seed": "5",
    "--epochs": "3",
    "--checkpoint-steps": "4",
    "--visualise": "no",
    "--end-metrics": "no",
    "--quiet": "yes",
    "--num-threads": "1",
    "--device": "cpu",
}


class Run:
    """A process that trains."""

    def __init__(self, server: subprocess.Popen, flags: list[str], output: Path, environment=None, before=()):
        self.server, self.output = server, output
        self.pid = self._ask(start=flags, output=str(output), environment=environment or {}, before=list(before))
        self.status: int | None = None

    def _ask(self, **request):
        self.server.stdin.write(json.dumps(request) + "\n")
        self.server.stdin.flush()
        return json.loads(self.server.stdout.readline())

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def ended(self) -> bool:
        if self.status is None:
            self.status = self._ask(poll=self.pid)
        return self.status is not None

    def wait(self) -> int:
        """Its exit status; negative where a signal ended it."""
        if self.status is None:
            self.status = self._ask(wait=self.pid)
        return self.status

    def stopped(self) -> bool:
        """Wait until SIGSTOP stops it. False if it ended instead."""
        return self._ask(stopped=self.pid)

    def kill(self) -> int:
        if not self.ended():
            self.signal(signal.SIGKILL)
        return self.wait()

    @property
    def text(self) -> str:
        """All that it printed so far."""
        return self.output.read_text() if self.output.exists() else ""


@pytest.fixture(scope="session")
def server():
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(Path(__file__).with_name("run_server.py"))]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    yield process
    process.stdin.close()
    process.wait(30)


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """A folder with a dSprites file of 48 images in the published layout, and its conversion."""
    from datasets import load_dataset
    from datasets.render.dsprites import render_file

    folder = tmp_path_factory.mktemp("dsprites")
    every = {"shape": 1, "scale": 5, "orientation": 20, "pos_x": 16, "pos_y": 16}
    render_file(folder, progress=False, every=every)
    load_dataset("dsprites", folder, progress=False)
    return folder


@pytest.fixture
def start(server, data, tmp_path):
    """start(log_path, *flags) -> a Run; later flags win over the tiny run's."""

    def start(log_path, *flags, environment=None, before=()) -> Run:
        arguments = [*sum(TINY.items(), ()), "--data-path", str(data), "--log-path", str(log_path), *flags]
        return Run(server, arguments, tmp_path / f"{log_path.name}.txt", environment, before)

    return start


@pytest.fixture(scope="session")
def uninterrupted(server, data, tmp_path_factory):
    """uninterrupted(*flags) -> the run directory of a tiny run that nothing disturbed."""

    @functools.cache
    def run_directory(*flags) -> Path:
        folder = tmp_path_factory.mktemp("uninterrupted")
        arguments = [*sum(TINY.items(), ()), "--data-path", str(data), "--log-path", str(folder), *flags]
        run = Run(server, arguments, folder / "output.txt")
        assert run.wait() == 0, run.text
        return folder / "version_0"

    return run_directory
