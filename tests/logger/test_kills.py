"""Kills at places that are counted, not waited for, of the run or of the script that started it: started again, the run
equals one that nothing disturbed, to the bit."""

import functools
import os
import subprocess
import sys
from pathlib import Path

import pytest
from run_contents import assert_equal_runs

from logger.run_directory import RunDirectory
from system import files
from tests.logger.conftest import ROOT, TINY

HERE = Path(__file__).parent
# As often as a run comes by the place (three epochs of nine steps), the middle of the half-written file, of the two
# renames and of the first and the last time included.
PLACES = {
    "import": (40, 400, 900),
    "step": (1, 9, 20, 27),
    "write": (1, 3, 7, 8, 9, 31),
    "picture": (1, 3, 5),
    "score": (1, 2, 3),
    "end": (1, 2, 3),
}
KILLS = [(place, n, who) for place, times in PLACES.items() for n in times for who in ("worker", "launcher")]
SCORED = ("--metrics", "yes", "--end-metrics", "yes")
DRAWN = (*SCORED, "--visualise", "yes")
# In place of the interpreter, for scripts/over_seeds.sh: asks the server, or imports everything itself.
CLIENT = """#!{python} -S
import json, os, socket, sys
if sys.argv[-1] == "--help-data":  # the script checks the flags
    sys.exit()
environment = {{**os.environ, "LAUNCHER": str(os.getppid())}}
if os.environ.get("KILL", "").startswith("import"):
    os.execve("{python}", ["{python}", "{here}/kill_places.py", *sys.argv[2:]], environment)
with socket.socket(socket.AF_UNIX) as server:
    server.connect(os.environ["SERVER"])
    wanted = ("KILL", "HITS", "LAUNCHER", "OUTPUT")
    request = {{"flags": sys.argv[1:], "environment": {{name: environment.get(name, "::") for name in wanted}}}}
    server.sendall((json.dumps(request) + "\\n").encode())
    sys.exit(int(server.makefile().readline()) % 256)
"""


@pytest.fixture(scope="module")
def launcher(tmp_path_factory, data):
    """launcher(log_path, kill) -> exit status of scripts/over_seeds.sh for one seed."""
    folder = tmp_path_factory.mktemp("server")
    client, address = folder / "python", str(folder / "socket")
    client.write_text(CLIENT.format(python=sys.executable, here=HERE))
    client.chmod(0o755)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT}:{HERE}"}
    command = [sys.executable, str(HERE / "kill_server.py"), address]
    server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    assert server.stdout.readline() == "ready\n"
    flags = [word for name, value in TINY.items() if name != "--seed" for word in (name, value)]

    def launch(log_path: Path, kill: str = "", more_flags: tuple = SCORED) -> int:
        more = {"PYTHON": str(client), "SERVER": address, "SEEDS": "5", "HITS": str(log_path) + ".hits"}
        command = [ROOT / "scripts" / "over_seeds.sh", *flags, "--data-path", str(data), "--log-path", str(log_path)]
        with open(f"{log_path}.txt", "a") as output:
            return subprocess.run(
                [*command, *more_flags],
                env={**environment, **more, "OUTPUT": f"{log_path}.txt", **({"KILL": kill} if kill else {})},
                stdout=output,
                stderr=output,
            ).returncode

    yield launch
    server.terminate()
    server.wait()


@pytest.fixture(scope="module")
def undisturbed(launcher, tmp_path_factory):
    """undisturbed(flags) -> the run that nothing disturbed."""

    @functools.cache
    def run(flags: tuple) -> Path:
        folder = tmp_path_factory.mktemp("undisturbed") / "logs"
        assert launcher(folder, more_flags=flags) == 0, Path(f"{folder}.txt").read_text()
        return folder / "version_0"

    return run


@pytest.mark.slow
@pytest.mark.parametrize(("place", "n", "who"), KILLS)
def test_a_kill_anywhere_changes_nothing(place, n, who, launcher, undisturbed, tmp_path):
    log_path = tmp_path / "logs"
    kill, flags = f"{place}:{n}:{who}", DRAWN if place == "picture" else SCORED
    status = launcher(log_path, kill, flags)
    assert Path(f"{log_path}.hits").read_text() == f"{kill}\n"
    assert status == (-9 if who == "launcher" else 1)
    if who == "launcher":  # what it started goes on: wait for its end, then there is nothing to do
        assert launcher(log_path, "", flags) == 0
        for run in log_path.glob("version_*"):
            files.lock(run / ".lock", wait=True)()
    assert launcher(log_path, "", flags) == 0
    assert [path.name for path in log_path.iterdir() if path.name != ".lock"] == ["version_0"]
    run = log_path / "version_0"
    assert RunDirectory(run).state() == "finished"
    assert_equal_runs(run, undisturbed(flags))
    assert files_of(run) == files_of(undisturbed(flags))


def files_of(run: Path) -> list[str]:
    """Names of all that lies in a run; event files are named after their time."""
    return sorted(path.name for path in run.rglob("*") if not path.name.startswith("events"))
