"""The loops over seeds, with an interpreter that only notes what it is asked to run."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

import main
from tests.test_main import PUBLISHED_DSPRITES

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
# Notes its flags and the GPU; exits with the status in the file `status_<seed>`. With a file `hang_<seed>`, waits for
# SIGTERM and exits with the status in that file, else 75.
INTERPRETER = """#!/usr/bin/env bash
if [[ ${!#} == --help-data ]]; then exit 0; fi
for ((i = 1; i <= $#; i++)); do if [[ ${!i} == --seed ]]; then n=$((i + 1)); seed=${!n}; fi; done
if [[ -e FOLDER/hang_$seed ]]; then trap 'exit "${code:-75}"' TERM; code=$(cat FOLDER/hang_$seed); fi
printf -v line '%s\\t' "gpu=${CUDA_VISIBLE_DEVICES:-}" "$@"
echo "$line" >> FOLDER/calls
while [[ -e FOLDER/hang_$seed ]]; do sleep 0.02; done
if [[ -e FOLDER/status_$seed ]]; then exit "$(cat FOLDER/status_$seed)"; fi
"""


@pytest.fixture
def environment(tmp_path) -> dict[str, str]:
    interpreter = tmp_path / "python"
    interpreter.write_text(INTERPRETER.replace("FOLDER", str(tmp_path)))
    interpreter.chmod(0o755)
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**kept, "PYTHON": str(interpreter)}


def calls(tmp_path: Path) -> list[list[str]]:
    return [line.rstrip("\t").split("\t") for line in (tmp_path / "calls").read_text().splitlines()]


def parsed(call: list[str]):
    assert call[1] == str(SCRIPTS.parent / "main.py")
    return main.build_parser().parse_args(call[2:])


def run(script: str, environment: dict[str, str], *flags: str, cwd: Path | None = None) -> int:
    return subprocess.run([SCRIPTS / script, *flags], env=environment, cwd=cwd).returncode


def test_paths_are_those_of_the_callers_folder(environment, tmp_path):
    interpreter = tmp_path / "python"
    interpreter.write_text(f"#!/usr/bin/env bash\npwd >> {tmp_path}/folders\n")
    (tmp_path / "here").mkdir()
    settings = {**environment, "SEEDS": "0 1", "DATA": "data", "LOGS": "runs"}
    for jobs in ("1", "2"):
        assert run("train_dsprites.sh", {**settings, "JOBS": jobs}, cwd=tmp_path / "here") == 0
    assert set((tmp_path / "folders").read_text().splitlines()) == {str(tmp_path / "here")}


@pytest.mark.parametrize(("script", "dataset"), [("train_dsprites.sh", "dsprites"), ("train_shapes3d.sh", "shapes3d")])
def test_the_loop_is_the_published_command_over_ten_seeds(script, dataset, environment, tmp_path):
    assert run(script, {**environment, "DATA": "/data", "LOGS": "/logs/x", "CUDA_VISIBLE_DEVICES": "3"}) == 0
    runs = [parsed(call) for call in calls(tmp_path)]
    assert [args.seed for args in runs] == list(range(10))
    published = vars(main.build_parser().parse_args(PUBLISHED_DSPRITES))
    published |= {"dataset": dataset, "eval_dataset": dataset, "data_path": "/data", "eval_data_path": "/data"}
    published |= {"log_path": "/logs/x", "resume": "once"}
    if dataset == "shapes3d":
        published |= {"subgroup_sizes_ls": [400], "hy_hes": 20.0, "recons_loss_type": "l2"}
    for args in runs:
        assert vars(args) == {**published, "seed": args.seed}
    assert {call[0] for call in calls(tmp_path)} == {"gpu=3"}


def test_seeds_and_more_flags_are_passed_on(environment, tmp_path):
    assert run("train_dsprites.sh", {**environment, "SEEDS": "4 7"}, "--epochs", "1") == 0
    assert [(args.seed, args.epochs, args.data_path) for args in map(parsed, calls(tmp_path))] == [
        (4, 1, None),
        (7, 1, None),
    ]


def test_seeds_may_stand_in_lines_as_seq_prints_them(environment, tmp_path):
    for jobs in ("1", "2"):
        assert run("over_seeds.sh", {**environment, "SEEDS": "4\n7\n9\n", "JOBS": jobs}) == 0
    seeds = [args.seed for args in map(parsed, calls(tmp_path))]
    assert seeds[:3] == [4, 7, 9] and sorted(seeds[3:]) == [4, 7, 9]


def test_a_failed_seed_does_not_stop_the_others(environment, tmp_path):
    (tmp_path / "status_1").write_text("2")
    assert run("over_seeds.sh", {**environment, "SEEDS": "0 1 2"}) == 1
    assert len(calls(tmp_path)) == 3


def test_a_bad_flag_is_reported_once(tmp_path):
    command = [SCRIPTS / "train_dsprites.sh", "--no-such-flag", "--log-path", str(tmp_path)]
    for jobs in ("1", "2"):
        done = subprocess.run(command, env={**os.environ, "JOBS": jobs}, capture_output=True, text=True)
        assert done.returncode == 2
        assert done.stderr.count("error:") == 1 and "--no-such-flag" in done.stderr


def test_an_interrupted_run_stops_the_loop(environment, tmp_path):
    (tmp_path / "status_1").write_text("75")
    assert run("over_seeds.sh", {**environment, "SEEDS": "0 1 2"}) == 75
    assert len(calls(tmp_path)) == 2


def test_several_jobs_share_out_seeds_and_cores(environment, tmp_path):
    seeds = {**environment, "SEEDS": "3 1 4 5 9"}
    assert run("over_seeds.sh", {**seeds, "JOBS": "2"}, "--epochs", "1") == 0
    runs = [parsed(call) for call in calls(tmp_path)]
    assert sorted(args.seed for args in runs) == [1, 3, 4, 5, 9]
    threads = max(1, len(os.sched_getaffinity(0)) // 2)
    assert {(args.num_threads, args.quiet, args.epochs) for args in runs} == {(threads, True, 1)}
    assert run("over_seeds.sh", {**seeds, "JOBS": "9"}, "--num-threads", "7") == 0
    assert {args.num_threads for args in map(parsed, calls(tmp_path)[5:])} == {7}
    assert len(calls(tmp_path)) == 10
    assert run("over_seeds.sh", {**seeds, "JOBS": "two"}) == 2


def test_several_jobs_pass_on_failures_and_signals(environment, tmp_path):
    (tmp_path / "status_1").write_text("2")
    assert run("over_seeds.sh", {**environment, "JOBS": "2", "SEEDS": "0 1 2 3"}) == 1
    assert len(calls(tmp_path)) == 4
    for seed in (4, 5):
        (tmp_path / f"hang_{seed}").touch()
    jobs = {**environment, "JOBS": "2", "SEEDS": "4 5 6"}
    assert terminated(jobs, tmp_path, 6) == 75
    assert len(calls(tmp_path)) == 6


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_no_seed_is_started_after_a_signal_that_came_as_a_run_ended(jobs, environment, tmp_path):
    for seed in range(int(jobs)):
        (tmp_path / f"hang_{seed}").write_text("0")  # it ends well, although it was asked to stop
    assert terminated({**environment, "JOBS": jobs, "SEEDS": "0 1 2 3"}, tmp_path, int(jobs)) == 75
    assert len(calls(tmp_path)) == int(jobs)


def terminated(environment: dict[str, str], tmp_path: Path, runs: int) -> int:
    """The exit status of over_seeds.sh, which gets SIGTERM when so many runs in all were started."""
    loop = subprocess.Popen([SCRIPTS / "over_seeds.sh"], env=environment)
    noted = tmp_path / "calls"
    while not noted.exists() or len(calls(tmp_path)) < runs:  # noted once the run's trap is set
        assert loop.poll() is None
        time.sleep(0.01)
    loop.terminate()
    return loop.wait()


def submit(environment: dict[str, str], tmp_path: Path, folder: Path = SCRIPTS.parent) -> subprocess.Popen:
    """slurm_sweep.sbatch as task 6 of an array, with a `scontrol` that notes what it is asked."""
    scontrol = tmp_path / "scontrol"
    scontrol.write_text(f'#!/usr/bin/env bash\necho "$@" > {tmp_path}/requeued\n')
    scontrol.chmod(0o755)
    slurm = {"SLURM_ARRAY_JOB_ID": "81", "SLURM_ARRAY_TASK_ID": "6", "SLURM_SUBMIT_DIR": str(folder)}
    path = f"{tmp_path}:{environment['PATH']}"
    command = [SCRIPTS / "slurm_sweep.sbatch", "dsprites", "--epochs", "2"]
    return subprocess.Popen(command, env={**environment, **slurm, "PATH": path})


def test_an_array_task_trains_its_seed(environment, tmp_path):
    assert submit(environment, tmp_path).wait() == 0
    (call,) = calls(tmp_path)
    assert (parsed(call).seed, parsed(call).epochs) == (6, 2)
    assert not (tmp_path / "requeued").exists()


def test_a_preempted_array_task_goes_back_into_the_queue(environment, tmp_path):
    (tmp_path / "hang_6").touch()
    task = submit(environment, tmp_path)
    while not (tmp_path / "calls").exists():  # written once its trap is set
        assert task.poll() is None
        time.sleep(0.01)
    task.send_signal(signal.SIGTERM)
    assert task.wait() == 75
    assert (tmp_path / "requeued").read_text().split() == ["requeue", "81_6"]


def test_an_array_that_was_submitted_from_elsewhere_says_so(environment, tmp_path):
    assert submit(environment, tmp_path, tmp_path).wait() == 2
