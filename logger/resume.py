"""Which run a command starts or continues, and with which arguments."""

from __future__ import annotations

import contextlib
import errno
import itertools
import secrets
import shutil
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from logger import arguments
from logger.run_directory import UNBORN, RunDirectory, versions
from system.command_line import CommandLine
from system.errors import UserError
from system.files import locked, make_directory

if TYPE_CHECKING:
    from system.processes import Group  # it imports torch

Check = Callable[[Namespace], None]  # raises UserError if arguments contradict one another


class NothingToDo(Exception):
    """The `run` that a command asks for is finished, or is being trained by another process."""

    def __init__(self, reason: str, run: RunDirectory | None = None):
        super().__init__(reason)
        self.run = run


@contextlib.contextmanager
def opened(command: CommandLine, check: Check, group: Group) -> Iterator[tuple[Namespace, RunDirectory | None]]:
    """Find or start the run of a command. Yields its arguments and, in the main process, its directory, locked.

    After the body it is unlocked; a new run that fails before its first checkpoint is removed.
    The main process finds it for all. Arguments and errors as for `find_or_start`; errors are raised in every process.
    """
    args = command.args
    if args.load_model and args.resume != "no":
        raise UserError("--load-model does not go with --resume: leave one of the two out")
    run: RunDirectory | None = None
    mode = "load" if args.load_model else args.resume

    def in_main_process() -> dict:
        nonlocal run
        try:
            run, run_args = find_or_start(command, mode, check, group)
        except NothingToDo as reason:
            if reason.run:
                named = reason.run.path == Path(args.log_path)
                arguments.check_made(reason.run, command, named)  # a longer run must not seem to be made
            return {"nothing to do": str(reason)}
        return {"args": vars(run_args)}

    found = group.broadcast(in_main_process)
    if "nothing to do" in found:
        raise NothingToDo(found["nothing to do"])
    try:
        yield Namespace(**found["args"]), run
    except BaseException:
        if run and run.is_new:  # what the disk says in an error's wake is no reason to remove a run
            shutil.rmtree(run.path, ignore_errors=True)
        raise
    finally:
        if run:
            run.release()


def find_or_start(
    command: CommandLine, mode: str, check: Check, group: Group | None = None
) -> tuple[RunDirectory, Namespace]:
    """The run that a command continues, or a new one, locked for this process; and its arguments.

    If --log-path is a run itself, it is continued; else the one that `find` finds below it. Commands that start at the
    same time under one --log-path do this one after the other.

    Args:
        mode: `no`, always a new run; or as for `find`.
        check: raises UserError if arguments contradict one another; called before anything is written.
        group: started by torchrun; when it restarts its processes, they go on with the run that it started.
    Raises:
        NothingToDo: as `find`; or --log-path is a run, which is finished, or with `once` being trained.
        UserError: as `find`, or from `check`; or --log-path is a run that cannot be continued.
    """
    args, path = command.args, Path(command.args.log_path)
    if RunDirectory(path).is_run:
        run = _named(RunDirectory(path), mode)
        return _continued(run, command, check)
    if not path.is_dir():
        if mode == "load":
            raise UserError(f"--load-model: {path} holds no run to continue; leave the flag out to start one")
        check(args)
    with starting(path):
        if group and group.restarted and (own := _of_launch(path, group.launch)):
            return _continued(own, command, check)
        found = find(path, mode, args) if mode != "no" else None
        if found is not None:
            return _continued(found, command, check)
        check(args)
        seed = secrets.randbelow(2**31) if args.seed is None else args.seed
        args = Namespace(**{**vars(args), "seed": seed})
        return claim(path, vars(args), group.launch if group else None), args


def _of_launch(log_path: Path, launch: str) -> RunDirectory | None:
    """The run that this torchrun started, locked; None if its processes died before they made one.

    Raises NothingToDo if it is finished, UserError if another process trains it.
    """
    own = [run for run in versions(log_path) if launch in run.launches()]
    return _named(own[0], "auto") if own else None


@contextlib.contextmanager
def starting(log_path: Path) -> Iterator[None]:
    """Make the folder, and hold its lock while a run is made there. Removes what a start that was killed left."""
    make_directory(log_path, "give --log-path a folder that can be written")
    waiting = f"waiting for another process that starts a run under {log_path}"
    with locked(log_path / ".lock", waiting, "give --log-path a folder that can be written"):
        for path in log_path.glob(f".*{UNBORN}"):
            shutil.rmtree(path, ignore_errors=True)
        yield


def claim(log_path: str | Path, args: dict | None = None, launch: str | None = None) -> RunDirectory:
    """Make and lock `version_<n>` with the next free n.

    It is made under another name, and renamed when it holds its arguments and the status `running`: a process that
    is killed leaves no incomplete run. Raises UserError if the directory cannot be made.
    """
    begun = RunDirectory(Path(log_path) / f".{secrets.token_hex(8)}{UNBORN}")
    try:
        begun.checkpoints.mkdir(parents=True)
        begun.write_args(args or {})
        begun.write_running(**({"launch": launch} if launch else {}))
        newest = max(
            (int(run.path.name[8:]) for run in versions(log_path) if run.path.name[8:].isdecimal()), default=-1
        )
        for number in itertools.count(newest + 1):
            run = RunDirectory(Path(log_path) / f"version_{number}")
            try:
                begun.path.rename(run.path)  # of several processes, one succeeds
                break
            except OSError as error:
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                    raise
        run.is_new = True
        run.hold()
        return run
    except OSError as error:
        raise UserError(f"--log-path {log_path}: {error.strerror}; give a folder that can be written") from error
    finally:
        shutil.rmtree(begun.path, ignore_errors=True)


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


def find(log_path: str | Path, mode: str, args: Namespace) -> RunDirectory | None:
    """The run that a command continues, locked for this process; None if it starts a new one.

    It is the newest unfinished run under `log_path` (of `args.seed`, if given). Runs that another process is training
    are skipped.

    Args:
        mode: `auto`; `once`: only runs of these arguments (`arguments.differences`), and no new run if one is finished
            or being trained; `load`: the newest finished run if none is unfinished.
    Raises:
        NothingToDo: with `once`, a run is finished or being trained.
        UserError: with `load`, there is no run to continue.
    """
    candidates = [run for run in versions(log_path) if run.args_file.is_file()]
    if args.seed is not None:
        candidates = [run for run in candidates if _recorded_seed(run) == args.seed]
    if mode == "once":
        candidates = [run for run in candidates if _is_own(run, args)]
    finished = [run for run in candidates if run.state() == "finished"]
    unfinished = [run for run in candidates if run not in finished]
    if mode == "once" and finished:
        raise NothingToDo(f"run {finished[0].path} is finished: nothing to do", finished[0])
    busy = None
    for run in [*unfinished, *finished] if mode == "load" else unfinished:
        if run.hold():
            if run in finished or run.state() != "finished":
                return run
            run.release()  # another process has finished it since its state was read
            busy = f"run {run.path} has just been finished by another process"
        else:
            busy = f"run {run.path} is being trained by another process"
        if mode != "load":
            print(f"{busy}: skipped", file=sys.stderr)
    if mode == "once" and busy:
        raise NothingToDo(f"{busy}: nothing to do", run)
    if mode == "load":
        if busy:
            raise UserError(f"--load-model: {busy}; wait for its end, or leave the flag out to start another one")
        raise UserError(f"--load-model: {log_path} holds no run to continue; leave the flag out to start one")
    return None


def _named(run: RunDirectory, mode: str) -> RunDirectory:
    """The run that --log-path itself is, locked. Raises as `find_or_start`."""
    if mode == "no":
        raise UserError(
            f"--log-path {run.path} is a run itself: name the folder above it to start a new run, or give --resume auto"
        )
    if not run.args_file.is_file():
        raise UserError(f"--log-path {run.path} is a run of the authors' code: it can be evaluated, not continued")
    if not run.hold():
        busy = f"run {run.path} is being trained by another process"
        if mode == "once":
            raise NothingToDo(f"{busy}: nothing to do", run)
        raise UserError(f"--log-path: {busy}; wait for its end, or name the folder above it to start another one")
    if mode != "load" and run.state() == "finished":
        run.release()
        raise NothingToDo(f"run {run.path} is finished: nothing to do", run)
    return run


def _recorded_seed(run: RunDirectory) -> int | None:
    try:
        return run.read_args().get("seed")
    except UserError as error:
        print(f"warning: {error}: skipped", file=sys.stderr)
        return None


def _is_own(run: RunDirectory, args: Namespace) -> bool:
    """Whether the run is one of these arguments. Prints what differs."""
    try:
        differing = arguments.differences(run, args)
    except UserError as error:
        differing = [str(error)]
    if differing:
        print(f"note: {run.path} is another run: {'; '.join(differing)}", file=sys.stderr)
    return not differing
