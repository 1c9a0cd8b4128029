"""Small data, and real processes that train on them."""

import functools
import itertools
import json
import os
import signal
from pathlib import Path

import pytest
import run_server
import torch

ROOT = Path(__file__).resolve().parents[2]
SERVER = pytest.StashKey["Server"]()
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


class Server:
    """A process that starts runs, see run_server.py: a copy of this one, which has imported most of what they need."""

    def __init__(self):
        (requested, requests), (answers, answered) = os.pipe(), os.pipe()
        self.pid = os.fork()
        if self.pid:
            os.close(requested), os.close(answered)
            self.requests, self.answers = os.fdopen(requests, "w"), os.fdopen(answers)
            return
        try:
            os.close(requests), os.close(answers)
            self._serve(os.fdopen(requested), os.fdopen(answered, "w"))
        finally:
            os._exit(0)

    @staticmethod
    def _serve(requests, answers) -> None:
        first = requests.readline()
        if not first:
            return  # no test wanted it
        os.chdir(ROOT)
        os.environ |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        run_server.prepare()
        run_server.serve(itertools.chain([first], requests), answers)

    def ask(self, **request):
        print(json.dumps(request), file=self.requests, flush=True)
        return json.loads(self.answers.readline())

    def end(self) -> None:
        self.requests.close()
        self.answers.close()
        os.waitpid(self.pid, 0)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """The server is copied before the first test, so that it has nothing of what tests change or leave."""
    if any("server" in getattr(item, "fixturenames", ()) for item in session.items):
        torch.optim.Adam([torch.zeros(1)])  # imports much, which tests in this process need as well
        session.config.stash[SERVER] = Server()


def pytest_sessionfinish(session: pytest.Session) -> None:
    if SERVER in session.config.stash:
        session.config.stash[SERVER].end()


class Run:
    """A process that trains."""

    def __init__(self, server: Server, flags: list[str], output: Path, environment=None, before=()):
        self._ask, self.output = server.ask, output
        self.pid = self._ask(start=flags, output=str(output), environment=environment or {}, before=list(before))
        self.status: int | None = None

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
def server(request) -> Server:
    return request.config.stash[SERVER]


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """A folder with a dSprites file of 48 images in the published layout, and its conversion."""
    from datasets import load_dataset
    from tests.conftest import write_small_dsprites

    folder = write_small_dsprites(tmp_path_factory.mktemp("dsprites"), (1, 5, 20, 16, 16))
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
