"""Claiming: runs that start together, in one folder, stay apart."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from logger.run_directory import RunDirectory, versions
from logger.runs import claim

ROOT = Path(__file__).resolve().parents[2]
PROCESSES = 6
CLAIM = """
import sys
from logger.runs import claim
folder, mark = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
run = claim(folder)
with run.training():
    run.write_args({"mark": mark})
    for n in range(20):
        run.append_metrics({f"metric/{mark}": n})
    (run.checkpoints / "model.pt").write_text(mark)
print(run.path.name)
"""


def test_processes_that_start_together_get_a_version_each_and_mix_no_files(tmp_path):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIM, str(tmp_path), f"p{n}"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in range(PROCESSES)
    ]
    assert all(process.stdout.readline() == "ready\n" for process in processes)
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    names = [process.communicate()[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0] * PROCESSES
    assert sorted(names) == sorted(f"version_{n}" for n in range(PROCESSES))
    for n, name in enumerate(names):
        run = RunDirectory(tmp_path / name)
        assert run.read_args() == {"mark": f"p{n}"}
        assert run.metrics_file.read_text() == "".join(f"metric/p{n} : {i}\n" for i in range(20))
        assert run.model_file.read_text() == f"p{n}"
        assert run.state() == "finished"


def test_trainings_that_start_together_end_alike(start, uninterrupted, tmp_path):
    processes = [start(tmp_path / "together", "--max-steps", "3", "--resume", "auto") for _ in range(PROCESSES)]
    assert [process.wait() for process in processes] == [0] * PROCESSES
    runs = versions(tmp_path / "together")
    assert sorted(run.path.name for run in runs) == sorted(f"version_{n}" for n in range(PROCESSES))
    texts = {run.metrics_file.read_text() for run in runs}
    assert len(texts) == 1
    assert all(len(list(run.path.glob("events.*"))) == 1 for run in runs)


def test_numbers_are_counted_not_spelled(tmp_path):
    for n in (9, 10, 2):
        (tmp_path / f"version_{n}").mkdir()
    (tmp_path / "version_old").mkdir()
    assert [run.path.name for run in versions(tmp_path)] == ["version_10", "version_9", "version_2"]
    assert claim(tmp_path).path.name == "version_11"


def test_the_status_says_how_a_run_ended(tmp_path):
    run = claim(tmp_path)
    assert run.state() == "running"
    with run.training():
        assert run.state() == "running"
    assert run.state() == "finished"
    with pytest.raises(ZeroDivisionError), run.training():
        raise ZeroDivisionError("for a reason")
    assert json.loads(run.status_file.read_text())["reason"] == "for a reason"
    assert run.state() == "failed"
