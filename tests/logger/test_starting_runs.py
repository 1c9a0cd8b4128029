"""Which run a start continues or makes: starts at once, starts that were killed, folders that are runs, disks without
locks."""

import errno
import fcntl
import json
import multiprocessing
import os
from argparse import Namespace
from pathlib import Path

import pytest
from run_contents import assert_equal_runs

from logger import runs
from logger.run_directory import RunDirectory, versions
from logger.runs import claim
from system import files
from system.command_line import CommandLine
from system.errors import UserError
from system.processes import Group

ARGS = {"model": "tiny", "epochs": 3}


def command(log_path: Path, mode: str = "no", seed: int | None = None, given=(), **flags) -> CommandLine:
    resume = {"load_model": mode == "load", "resume": "no" if mode == "load" else mode}
    return CommandLine(
        Namespace(**{**ARGS, "log_path": str(log_path), "seed": seed, **resume, **flags}), frozenset(given)
    )


def begin(log_path: Path, mode: str, seed: int | None = None, check=lambda args: None, **flags) -> RunDirectory:
    run, _ = runs.find_or_start(command(log_path, mode, seed, **flags), check)
    return run


def begun(log_path: Path, state: str = "interrupted", **args) -> RunDirectory:
    run = claim(log_path, {**ARGS, **args})
    run.write_status(state)
    run.release()
    return run


def names(log_path: Path) -> list[str]:
    return sorted(path.name for path in log_path.iterdir() if path.name.startswith("version_"))


def start_and_tell(log_path: Path, mode: str, seed: int, barrier, answers) -> None:
    barrier.wait()
    try:
        run = begin(log_path, mode, seed)
    except Exception as reason:
        answers.put(str(reason))
    else:
        answers.put(run.path.name)
        barrier.wait()  # holds it until all have looked
        return
    barrier.wait()


@pytest.mark.parametrize(("mode", "trained"), [("once", 2), ("auto", 8), ("no", 8)])
def test_of_starts_at_once_each_seed_is_claimed_as_the_mode_says(mode, trained, tmp_path):
    context = multiprocessing.get_context("fork")
    barrier, answers = context.Barrier(8), context.Queue()
    processes = [
        context.Process(target=start_and_tell, args=(tmp_path / "logs", mode, 4 + n % 2, barrier, answers))
        for n in range(8)
    ]
    for process in processes:
        process.start()
    told = [answers.get() for _ in processes]
    for process in processes:
        process.join()
    claimed = [answer for answer in told if answer.startswith("version_")]
    assert len(claimed) == len(set(claimed)) == trained
    assert sorted(claimed) == names(tmp_path / "logs")
    assert all("is being trained by another process: nothing to do" in answer for answer in set(told) - set(claimed))
    if mode == "once":
        assert {RunDirectory(tmp_path / "logs" / name).read_args()["seed"] for name in claimed} == {4, 5}


def test_two_trainings_of_one_seed_that_start_at_once_are_one_run(start, uninterrupted, tmp_path):
    log_path = tmp_path / "twice"
    processes = [start(log_path, "--resume", "once") for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4, processes[0].text
    assert names(log_path) == ["version_0"]
    assert_equal_runs(log_path / "version_0", uninterrupted())


def test_a_start_that_was_killed_before_its_first_checkpoint_is_taken_over(tmp_path):
    begin(tmp_path, "auto", 5).release()  # a process that dies lets go of it
    assert RunDirectory(tmp_path / "version_0").read_args()["seed"] == 5
    assert RunDirectory(tmp_path / "version_0").state() == "running"
    again = begin(tmp_path, "auto", 5)
    assert (again.path.name, again.is_new) == ("version_0", False)


def test_a_folder_without_arguments_is_no_run(tmp_path):
    (tmp_path / "version_4" / "checkpoints").mkdir(parents=True)  # a process that was killed when it had made them
    assert begin(tmp_path, "auto", 3).path.name == "version_5"
    (tmp_path / "version_5" / "args.json").unlink()
    assert begin(tmp_path, "once", 3).path.name == "version_6"


def test_a_killed_start_is_left_out_of_tables_by_name(tmp_path, capsys):
    import collect_results

    begin(tmp_path / "logs", "auto", 5).release()
    argv = [f"--in_dir={tmp_path / 'logs'}", f"--result_file={tmp_path / 'table.csv'}"]
    collect_results.main(argv)
    assert "version_0: left out, it is unfinished" in capsys.readouterr().err


def test_arguments_that_are_refused_make_nothing(tmp_path):
    def refuse(args):
        raise UserError("--latents: no")

    for mode in ("no", "auto", "once", "load"):
        with pytest.raises(UserError):
            begin(tmp_path / "logs", mode, check=refuse)
    assert not list(tmp_path.iterdir())


def test_a_new_run_that_fails_before_its_first_checkpoint_is_removed(tmp_path):
    flags = command(tmp_path, "auto", 1)
    with pytest.raises(ZeroDivisionError), runs.opened(flags, lambda args: None, Group()) as (_, run):
        assert run.is_new
        raise ZeroDivisionError
    assert names(tmp_path) == []
    old = begin(tmp_path, "no", 1)
    old.release()
    with pytest.raises(ZeroDivisionError), runs.opened(flags, lambda args: None, Group()) as (_, run):
        assert run.path == old.path and not old.hold()
        raise ZeroDivisionError
    assert names(tmp_path) == ["version_0"]
    assert old.hold()


def test_a_run_that_another_process_trains_is_named_and_left_alone(tmp_path):
    run = begin(tmp_path, "no")
    for mode in ("auto", "once"):
        with pytest.raises(runs.NothingToDo, match="version_0 is being trained by another process: nothing to do"):
            begin(run.path, mode)
    for path in (run.path, tmp_path):
        with pytest.raises(UserError, match="--load-model: run .* is being trained by another process"):
            begin(path, "load")
    assert names(run.path) == []


def test_a_named_run_is_never_a_folder_of_runs(tmp_path):
    run = begin(tmp_path, "no", 3)
    with pytest.raises(UserError, match="is a run itself: name the folder above it"):
        begin(run.path, "no")
    run.write_status("finished")
    run.release()
    for mode in ("auto", "once"):
        with pytest.raises(runs.NothingToDo, match="is finished: nothing to do"):
            begin(run.path, mode)
    assert begin(run.path, "load").path == run.path
    (tmp_path / "theirs" / "checkpoints").mkdir(parents=True)
    (tmp_path / "theirs" / "checkpoints" / "args.pt").write_bytes(b"")
    with pytest.raises(UserError, match="is a run of the authors' code"):
        begin(tmp_path / "theirs", "auto")


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_disk_without_locks_is_said_and_trained_on(number, tmp_path, monkeypatch, capsys):
    def none(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", none)
    assert begin(tmp_path, "once", 4).path.name == "version_0"
    lines = set(capsys.readouterr().err.splitlines())
    assert f"warning: {tmp_path}/.lock lies on a disk without file locks: start one process at a time there" in lines


def test_a_lock_is_free_again_after_its_release(tmp_path):
    release = files.lock(tmp_path / "lock")
    assert files.lock(tmp_path / "lock") is None
    release()
    assert files.lock(tmp_path / "lock") is not None


def test_all_who_can_write_in_a_folder_can_start_runs_there(tmp_path):
    before = os.umask(0o022)
    try:
        begin(tmp_path, "no")
    finally:
        os.umask(before)
    assert (tmp_path / ".lock").stat().st_mode & 0o777 == 0o666


def test_the_numbers_of_a_continued_run_may_move_without_its_end(start, tmp_path):
    log_path = tmp_path / "moved"
    assert start(log_path, "--max-steps", "4").wait() == 0
    again = start(log_path, "--load-model", "yes", "--max-steps", "8", "--global-step", "1000")
    assert again.wait() == 0, again.text
    assert "from step 4 of 8" in again.text
    state = json.loads((log_path / "version_0" / "status.json").read_text())
    assert state["state"] == "finished"
    (run,) = versions(log_path)
    from system.files import load_tensors

    progress = load_tensors(run.training_file)["progress"]
    assert (progress["step"], progress["epoch"] * 9 + progress["batch"]) == (1004, 8)
    finished = start(log_path, "--load-model", "yes", "--max-steps", "8")
    assert finished.wait() == 2 and "finished after 8 steps" in finished.text


def test_resume_and_load_model_are_not_given_together(start, tmp_path):
    process = start(tmp_path / "both", "--load-model", "yes", "--resume", "auto")
    assert process.wait() == 2
    assert process.text == "error: --load-model does not go with --resume: leave one of the two out\n"
    assert not (tmp_path / "both").exists()


def test_a_run_goes_on_in_its_precision_unless_another_is_asked_for(tmp_path):
    run = claim(tmp_path, {"precision": "bf16"})

    def continued(precision: str, *given: str) -> str:
        return runs.continued(run, command(tmp_path, given=given, precision=precision)).precision

    assert continued("fp32") == "bf16"
    assert continued("fp32", "precision") == "fp32"
    assert continued("auto", "precision") == "bf16"  # it was decided when the run was started


def test_a_run_shorter_than_asked_is_unfinished(tmp_path):
    run = begun(tmp_path, "finished", seed=1, hy_hes=0)
    asked = {"hy_hes": 0, "epochs": 5}

    def goes_on(mode: str, log_path: Path = tmp_path, **flags) -> Namespace | None:
        try:
            found, args = runs.find_or_start(command(log_path, mode, 1, **flags), lambda args: None)
        except runs.NothingToDo:
            return None
        found.release()
        return args if found.path == run.path else None

    assert goes_on("once", **asked).epochs == 5  # also if that is the default
    assert goes_on("auto", given={"epochs"}, **asked).epochs == 5
    assert goes_on("auto", run.path, given={"epochs"}, **asked).epochs == 5
    assert goes_on("auto", run.path, **asked) is None  # a run that is named keeps its own length
    assert goes_on("once", hy_hes=0) is goes_on("auto", run.path) is None
    assert goes_on("auto", given={"epochs"}, hy_hes=40, epochs=5) is None  # of other arguments


def test_a_finished_run_with_a_damaged_record_stops_no_new_one(tmp_path):
    run = begun(tmp_path, "finished", seed=1)
    run.args_file.write_text("{")
    assert begin(tmp_path, "auto").path.name == "version_1"


def test_a_restart_looks_for_the_run_of_its_launch_and_passes_over_one_that_was_not_made(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "this")
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    begun(tmp_path, "interrupted", seed=1)
    (tmp_path / "version_1").mkdir()  # killed before its arguments were written
    RunDirectory(tmp_path / "version_1").write_running(launch="this")
    first, _ = runs.find_or_start(command(tmp_path, "no", 1), lambda args: None, Group())
    assert first.path.name == "version_2"
    first.release()
    again, _ = runs.find_or_start(command(tmp_path, "no", 1), lambda args: None, Group())
    assert again.path.name == "version_2"


def test_a_run_that_cannot_be_written_leaves_no_folder(tmp_path, monkeypatch):
    def full(*_, **__):
        raise UserError("cannot write: No space left on device")

    monkeypatch.setattr(RunDirectory, "write_args", full)
    with pytest.raises(UserError, match="No space left"):
        begin(tmp_path, "no")
    assert names(tmp_path) == []


def test_load_model_takes_the_newest_run(tmp_path):
    begun(tmp_path, "interrupted", seed=1)
    begun(tmp_path, "finished", seed=2)
    assert begin(tmp_path, "load").path.name == "version_1"
    assert begin(tmp_path, "load", 1).path.name == "version_0"
    with pytest.raises(UserError, match="holds no run to continue"):
        begin(tmp_path, "load", 3)


def test_the_newest_unfinished_run_is_continued_and_held_ones_are_skipped(tmp_path, capsys):
    for n in range(4):
        begun(tmp_path, "finished" if n == 3 else "interrupted", seed=n % 2)
    held = [begin(tmp_path, "auto"), begin(tmp_path, "auto")]
    assert [run.path.name for run in held] == ["version_2", "version_1"]
    assert "version_2 is being trained by another process: skipped" in capsys.readouterr().err
    assert begin(tmp_path, "auto", 1).path.name == "version_4"  # the others of seed 1 are held, or finished


def test_once_starts_no_second_run_of_a_seed(tmp_path):
    for seed, state in ((5, "interrupted"), (6, "finished"), (7, "interrupted")):
        begun(tmp_path, state, seed=seed)
    held = begin(tmp_path, "once", 5)
    assert held.path.name == "version_0"
    with pytest.raises(runs.NothingToDo, match="version_0 is being trained by another process"):
        begin(tmp_path, "once", 5)
    with pytest.raises(runs.NothingToDo, match="version_1 is finished"):
        begin(tmp_path, "once", 6)
    assert begin(tmp_path, "once", 8).path.name == "version_3"


def test_every_flag_with_a_role_is_a_flag():
    import main
    from system.roles import ROLES

    flags = vars(main.build_parser().parse_args([]))
    assert {name for names in ROLES.values() for name in names.split()} < set(flags)
