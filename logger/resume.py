"""Which run a command continues, with which arguments, and how its logs are taken back to the checkpoint."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path

from logger import arguments
from logger.run_directory import UNBORN, RunDirectory, array_task, versions
from system.errors import UserError
from system.files import flush_to_disk, locked, remove_partial
from system.flags import CommandLine
from system.processes import Group

Check = Callable[[Namespace], None]  # refuses arguments that contradict one another


def agree(command: CommandLine, check: Check, group: Group) -> tuple[Namespace, RunDirectory | None]:
    """What the main process finds out for all: the arguments; and for itself the run, held. Arguments as in `start`.

    Raises NothingToDo in every process where the run is finished already.
    """
    args = command.args
    if args.load_model and args.resume != "no":
        raise UserError("--load-model does not go with --resume: leave one of the two out")
    run = None
    mode = "load" if args.load_model else "auto" if args.resume == "no" and group.restarted else args.resume

    def find_out() -> dict:
        nonlocal run
        try:
            run, agreed = start(command, mode, check)
        except NothingToDo as reason:
            return {"nothing": str(reason)}
        return {"args": vars(agreed)}

    found = group.broadcast(find_out)
    if "nothing" in found:
        raise NothingToDo(found["nothing"])
    return Namespace(**found["args"]), run


def start(command: CommandLine, mode: str, check: Check) -> tuple[RunDirectory, Namespace]:
    """The run that a command continues, or else a new one, held for this process, and its arguments.

    Looking and claiming is one act: of the commands that start under one --log-path, one at a time does it.

    Args:
        mode: `no`, which continues none, or as for `find`.
        check: refuses arguments that contradict one another; nothing is made before it has passed.
    Raises:
        NothingToDo, UserError: as `find`; or the arguments are refused.
    """
    args, path = command.args, Path(command.args.log_path)
    if RunDirectory(path).is_run:
        return _continued(_named(RunDirectory(path), mode), command, check)
    if not path.is_dir():
        if mode == "load":
            raise UserError(f"--load-model: {path} holds no run to continue; leave the flag out to start one")
        check(args)
    with _one_at_a_time(path):
        run = find(path, mode, args.seed) if mode != "no" else None
        if run is not None:
            return _continued(run, command, check)
        check(args)
        seed = secrets.randbelow(2**31) if args.seed is None else args.seed
        args = Namespace(**{**vars(args), "seed": seed})
        return RunDirectory.claim(path, vars(args)), args


@contextlib.contextmanager
def _one_at_a_time(log_path: Path) -> Iterator[None]:
    """Hold the lock of the folder, which is made. What a killed start left of a run that never was is removed."""
    try:
        log_path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--log-path {log_path}: {error.strerror}; give a folder that can be written") from error
    waiting = f"waiting for another process that starts a run under {log_path}"
    with locked(log_path / ".lock", waiting, "give --log-path a folder that can be written"):
        for path in log_path.glob(f".*{UNBORN}"):
            shutil.rmtree(path, ignore_errors=True)
        yield


def _continued(run: RunDirectory, command: CommandLine, check: Check) -> tuple[RunDirectory, Namespace]:
    try:
        merged = arguments.continued(run, command)
        try:
            check(merged)
        except UserError as error:
            raise UserError(f"{run.args_file}: {error}") from error
    except UserError:
        run.release()
        raise
    return run, merged


def find(log_path: str | Path, mode: str, seed: int | None = None) -> RunDirectory | None:
    """The run that a command continues, held for this process; None where it starts a new one.

    That is the newest unfinished run under `log_path` (or `log_path` itself, where it is a run), with a seed the newest
    of that seed. Runs that another process trains are passed over, and so are those of other tasks of the same Slurm
    array.

    Args:
        mode: `auto`; `once`, which starts no second run where one is finished or under way; or `load`, which takes the
            newest finished run where none is unfinished.
    Raises:
        NothingToDo: `once`, and there is such a run; `auto`, and `log_path` is a run that is finished.
        UserError: `load`, and there is no run that could be continued; or `log_path` is a run that could not.
    """
    path = Path(log_path)
    if RunDirectory(path).is_run:
        return _named(RunDirectory(path), mode)
    candidates = [run for run in versions(path) if run.args_file.is_file() and not _of_another_task(run)]
    if seed is not None:
        candidates = [run for run in candidates if _seed(run) == seed]
    finished = [run for run in candidates if run.state() == "finished"]
    if mode == "once" and finished:
        raise NothingToDo(f"run {finished[0].path} is finished: nothing to do")
    busy = None
    for run in [*(run for run in candidates if run not in finished), *(finished if mode == "load" else [])]:
        if run.hold():
            if run in finished or run.state() != "finished":
                return run
            run.release()  # another process has finished it since the look at its state
            busy = f"run {run.path} has just been finished by another process"
        else:
            busy = f"run {run.path} is being trained by another process"
        if mode != "load":
            print(f"{busy}: passed over", file=sys.stderr)
    if mode == "once" and busy:
        raise NothingToDo(f"{busy}: nothing to do")
    if mode == "load":
        if busy:
            raise UserError(f"--load-model: {busy}; wait for its end, or leave the flag out to start another one")
        raise UserError(f"--load-model: {path} holds no run to continue; leave the flag out to start one")
    return None


def _named(run: RunDirectory, mode: str) -> RunDirectory:
    """The run that --log-path names itself, held. Raises as `find`."""
    if mode == "no":
        raise UserError(
            f"--log-path {run.path} is a run itself: name the folder above it to start a new run, or give --resume auto"
        )
    if not run.args_file.is_file():
        raise UserError(f"--log-path {run.path} is a run of the authors' code: it can be evaluated, not continued")
    if not run.hold():
        busy = f"run {run.path} is being trained by another process"
        if mode == "once":
            raise NothingToDo(f"{busy}: nothing to do")
        raise UserError(f"--log-path: {busy}; wait for its end, or name the folder above it to start another one")
    if mode != "load" and run.state() == "finished":
        run.release()
        raise NothingToDo(f"run {run.path} is finished: nothing to do")
    return run


class NothingToDo(Exception):
    """The run that a command asks for is finished or under way."""


def _seed(run: RunDirectory) -> int | None:
    try:
        return run.read_args().get("seed")
    except UserError as error:
        print(f"warning: {error}: passed over", file=sys.stderr)
        return None


def _of_another_task(run: RunDirectory) -> bool:
    task = array_task()
    _, *numbers = run.path.name.split("_")
    return task is not None and len(numbers) > 1 and numbers[0] == task[0] and numbers[1] != task[1]


def prepare(run: RunDirectory, checkpoint: dict | None, recorded: dict, done: int, planned: int) -> None:
    """Take the logs of a run that is continued back to its checkpoint, and say where it goes on.

    Args:
        recorded: the arguments and circumstances that are about to be recorded.
        done: steps done at the checkpoint, whatever their numbers.
        planned: steps that the whole run takes.
    Raises:
        UserError: the run is finished, or its data are not what it was started with.
    """
    before = run.read_args()
    # A start that was killed before its first checkpoint may not have known its data yet.
    if (source := before.get("data_source")) != recorded["data_source"] and (checkpoint or source):
        raise UserError(
            f"{run.path} was started on {source}, not on {recorded['data_source']}: give its --data-path again"
        )
    if checkpoint and (version := checkpoint["versions"]["torch"]) != recorded["torch"]:
        print(f"warning: {run.path} goes on under torch {recorded['torch']}, not {version}: the last digits may differ")
    if run.state() != "finished":
        rewind(run, checkpoint)
    elif done >= planned:
        raise UserError(
            f"--load-model: {run.path} is finished after {done} steps; raise --epochs or --max-steps to train it "
            "further, or leave the flag out to start a new run"
        )
    print(f"continuing {run.path} from step {done} of {planned}")


def rewind(run: RunDirectory, checkpoint: dict | None) -> None:
    """Cut every log file to its length at the checkpoint, so that the steps since then are not recorded twice.

    Event files that are younger than the checkpoint go. Without a checkpoint everything goes: the run starts over.
    """
    lengths = checkpoint["logs"] if checkpoint else {}
    remove_partial(run.path)
    remove_partial(run.checkpoints)
    for path in [run.metrics_file, *run.path.glob("events.*")]:
        length = lengths.get(path.name, 0)
        if length == 0:
            path.unlink(missing_ok=True)
        elif path.stat().st_size > length:
            os.truncate(path, length)


def log_lengths(run: RunDirectory) -> dict[str, int]:
    """Length in bytes of every log file, once they are on the disk: what `rewind` goes back to."""
    lengths = {}
    for path in [run.metrics_file, *run.path.glob("events.*")]:
        if path.exists():
            flush_to_disk(path)
            lengths[path.name] = path.stat().st_size
    return lengths
