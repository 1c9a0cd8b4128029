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

from logger import arguments, resume
from logger.reading import find_runs
from logger.resume import claim
from logger.run_directory import RunDirectory, for_results, versions
from system import files
from system.command_line import CommandLine
from system.errors import UserError
from system.processes import Group

ARGS = {"model": "tiny", "epochs": 3}


def command(log_path: Path, **flags) -> CommandLine:
    args = Namespace(log_path=str(log_path), **flags, **ARGS)
    return CommandLine(args, frozenset(), lambda values, file: values)


def begin(log_path: Path, mode: str, seed: int | None = None, check=lambda args: None) -> RunDirectory:
    run, _ = resume.find_or_start(command(log_path, seed=seed), mode, check)
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
    assert RunDirectory(tmp_path / "version_0").read_args() == {**ARGS, "log_path": str(tmp_path), "seed": 5}
    assert RunDirectory(tmp_path / "version_0").state() == "running"
    again = begin(tmp_path, "auto", 5)
    assert (again.path.name, again.is_new) == ("version_0", False)


def test_what_a_start_left_that_was_killed_before_the_run_had_its_name_is_removed(tmp_path):
    left = tmp_path / ".0123456789abcdef.starting" / "checkpoints"
    left.mkdir(parents=True)
    assert begin(tmp_path, "no").path.name == "version_0"
    assert not left.parent.exists()


def test_a_run_that_is_being_made_is_in_no_table(tmp_path):
    begin(tmp_path, "no").path.rename(tmp_path / ".0123456789abcdef.starting")
    left_out: list[str] = []
    assert find_runs([tmp_path], left_out) == [] and left_out == []


def test_evaluations_that_start_at_once_do_not_disturb_each_other(tmp_path, monkeypatch):
    run = begin(tmp_path, "no")
    unlink = Path.unlink

    def second(path: Path, **how) -> None:
        os.unlink(path)  # the other process was faster
        unlink(path, **how)

    monkeypatch.setattr(Path, "unlink", second)
    assert for_results(run, None) is run


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
    flags = command(tmp_path, seed=1, load_model=False, resume="auto")
    with pytest.raises(ZeroDivisionError), resume.opened(flags, lambda args: None, Group()) as (_, run):
        assert run.is_new
        raise ZeroDivisionError
    assert names(tmp_path) == []
    old = begin(tmp_path, "no", 1)
    old.release()
    with pytest.raises(ZeroDivisionError), resume.opened(flags, lambda args: None, Group()) as (_, run):
        assert run.path == old.path and not old.hold()
        raise ZeroDivisionError
    assert names(tmp_path) == ["version_0"]
    assert old.hold()


@pytest.mark.parametrize("mode", ["auto", "load"])
def test_a_run_that_is_named_and_held_is_said_to_be_trained(mode, tmp_path):
    run = begin(tmp_path, "no")
    with pytest.raises(UserError, match="version_0 is being trained by another process"):
        begin(run.path, mode)
    with pytest.raises(resume.NothingToDo, match="is being trained by another process: nothing to do"):
        begin(run.path, "once")
    with pytest.raises(UserError, match="--load-model: run .* is being trained by another process"):
        begin(tmp_path, "load")
    assert names(run.path) == []


def test_a_named_run_is_never_a_folder_of_runs(tmp_path):
    run = begin(tmp_path, "no", 3)
    with pytest.raises(UserError, match="is a run itself: name the folder above it"):
        begin(run.path, "no")
    run.write_status("finished")
    run.release()
    for mode in ("auto", "once"):
        with pytest.raises(resume.NothingToDo, match="is finished: nothing to do"):
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
        args = Namespace(log_path=str(tmp_path), precision=precision)
        command = CommandLine(args, frozenset(given), lambda values, file: values)
        return arguments.continued(run, command).precision

    assert continued("fp32") == "bf16"
    for asked in ("fp32", "auto"):  # auto: as fits the machine that it goes on with
        assert continued(asked, "precision") == asked
