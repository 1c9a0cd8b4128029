"""Which run a command starts, continues or scores, and with which arguments.

One rule: a run shorter than asked is unfinished, and is continued; a finished one, or one that another process trains,
is named, and nothing is done. What is taken from the run, and what from the command line: system/roles.py.
"""

from __future__ import annotations

import contextlib
import itertools
import secrets
import shutil
import sys
from argparse import Namespace
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from logger.run_directory import RunDirectory, versions
from system.command_line import CommandLine
from system.errors import UserError, first_line
from system.files import locked, make_directory
from system.roles import of_command, role

if TYPE_CHECKING:
    from system.processes import Group  # it imports torch

Check = Callable[[Namespace], None]  # raises UserError if arguments contradict one another
LENGTHS = {"epochs", "max_steps"}
KEPT = (("precision", "auto"), ("precision", None))  # they were decided when the run was started
ELSEWHERE = "is being trained by another process"


class NothingToDo(Exception):
    """The run that a command asks for is finished, or is being trained by another process."""


@contextlib.contextmanager
def opened(command: CommandLine, check: Check, group: Group) -> Iterator[tuple[Namespace, RunDirectory | None]]:
    """Find or start the run of a command. Yields its arguments and, in the main process, its directory, locked.

    After the body it is unlocked; a new run that fails before its first checkpoint is removed.
    The main process finds it for all. Arguments and errors as for `find_or_start`; errors are raised in every process.
    """
    if command.args.load_model and command.args.resume != "no":
        raise UserError("--load-model does not go with --resume: leave one of the two out")
    run: RunDirectory | None = None

    def in_main_process() -> dict | str:
        nonlocal run
        try:
            run, args = find_or_start(command, check, group)
        except NothingToDo as reason:
            return str(reason)
        return vars(args)

    found = group.broadcast(in_main_process)
    if isinstance(found, str):
        raise NothingToDo(found)
    try:
        yield Namespace(**found), run
    except BaseException:
        if run and run.is_new:  # what the disk says in an error's wake is no reason to remove a run
            shutil.rmtree(run.path, ignore_errors=True)
        raise
    finally:
        if run:
            run.release()


def find_or_start(command: CommandLine, check: Check, group: Group | None = None) -> tuple[RunDirectory, Namespace]:
    """The run that a command continues, or a new one, locked for this process; and its arguments.

    If --log-path is a run itself, it is continued; else the first of `_candidates` below it that can be. Commands that
    start at the same time under one --log-path do this one after the other.

    Args:
        check: called before anything is written.
        group: started by torchrun; when it restarts its processes, they go on with the run that it started.
    Raises:
        NothingToDo: the run is finished, or is being trained.
        UserError: from `check`; --load-model finds no run; or --log-path is a run that cannot be continued.
    """
    args, path = command.args, Path(command.args.log_path)
    mode = "load" if args.load_model else args.resume
    if RunDirectory(path).is_run:
        return _take(_named(RunDirectory(path), mode), mode, command, check, command.given & LENGTHS)
    none = UserError(f"--load-model: {path} holds no run to continue; leave the flag out to start one")
    if not path.is_dir():
        if mode == "load":
            raise none
        check(args)
    remedy = "give --log-path a folder that can be written"
    make_directory(path, remedy)
    with locked(path / ".lock", f"waiting for another process that starts a run under {path}", remedy):
        runs = [run for run in versions(path) if run.args_file.is_file()]  # newest first; a killed start has no args
        if group and group.restarted and (own := [run for run in runs if group.launch in run.launches()]):
            return _take(own[0], "restart", command, check)
        said: NothingToDo | None = None
        for run in _candidates(runs, mode, command):
            try:
                return _take(run, mode, command, check, LENGTHS if mode == "once" else command.given & LENGTHS)
            except NothingToDo as reason:
                said = reason if "finished" in str(reason) else said or reason
                if mode == "auto":
                    print(f"{reason}".replace("nothing to do", "skipped"), file=sys.stderr)
        if mode == "load":
            raise none
        if mode == "once" and said:
            raise said
        check(args)
        seed = secrets.randbelow(2**31) if args.seed is None else args.seed
        args = Namespace(**{**vars(args), "seed": seed})
        return claim(path, vars(args), group.launch if group else None), args


def _named(run: RunDirectory, mode: str) -> RunDirectory:
    """The run that --log-path itself is. Raises UserError if it cannot be continued."""
    if mode == "no":
        raise UserError(
            f"--log-path {run.path} is a run itself: name the folder above it to start a new run, or give --resume auto"
        )
    if not run.args_file.is_file():
        raise UserError(f"--log-path {run.path} is a run of the authors' code: it can be evaluated, not continued")
    return run


def _candidates(runs: Sequence[RunDirectory], mode: str, command: CommandLine) -> list[RunDirectory]:
    """Those of the runs (newest first; of --seed, if given) that the mode continues, the first choice first.

    load: the newest. auto: unfinished ones, then those of these arguments that are shorter than asked. once: only runs
    of these arguments (`differences`), unfinished ones first.
    """
    args = command.args
    if mode == "no":
        return []
    if args.seed is not None:
        runs = [run for run in runs if _recorded_seed(run) == args.seed]
    if mode == "load":
        return list(runs[:1])
    if mode == "once":
        runs = [run for run in runs if _is_own(run, args)]
    unfinished = [run for run in runs if run.state() != "finished"]
    finished = [run for run in runs if run not in unfinished]
    if mode == "auto":
        asked = command.given & LENGTHS
        finished = [run for run in finished if _shorter(run, args, asked) and _is_own(run, args)]
    return [*unfinished, *finished]


def _take(
    run: RunDirectory, mode: str, command: CommandLine, check: Check, asked: Collection[str] = ()
) -> tuple[RunDirectory, Namespace]:
    """Lock a run to continue it, and merge its arguments with those of the command, of which `asked` are its length.

    Raises NothingToDo if it is finished or being trained by another process, which is an error with --load-model.
    """
    if not run.hold():
        if mode in ("load", "restart"):
            flag = "--load-model: " if mode == "load" else ""
            raise UserError(f"{flag}run {run.path} {ELSEWHERE}; wait for its end, or start another one")
        raise NothingToDo(f"run {run.path} {ELSEWHERE}: nothing to do")
    try:
        shorter = _shorter(run, command.args, asked)
        if mode != "load" and run.state() == "finished" and not shorter:
            raise NothingToDo(f"run {run.path} is finished: nothing to do")
        args = continued(run, command, asked if shorter else ())
        _check_recorded(run.args_file, args, check)
        return run, args
    except BaseException:
        run.release()
        raise


def _shorter(run: RunDirectory, args: Namespace, asked: Collection[str]) -> bool:
    """Whether a run was made with fewer epochs or steps than asked for."""
    recorded = run.read_args() if asked else {}
    pairs = [(getattr(args, name, None), recorded.get(name)) for name in asked]
    return any(made is not None and (wanted is None or wanted > made) for wanted, made in pairs)


def claim(log_path: str | Path, args: dict | None = None, launch: str | None = None) -> RunDirectory:
    """Make and lock `version_<n>` with the next free n. Raises UserError if it cannot be made.

    A folder without args.json, as a process leaves it that is killed here, is no run.
    """
    numbers = [int(run.path.name[8:]) for run in versions(log_path) if run.path.name[8:].isdecimal()]
    try:
        for number in itertools.count(max(numbers, default=-1) + 1):
            run = RunDirectory(Path(log_path) / f"version_{number}")
            with contextlib.suppress(FileExistsError):
                run.path.mkdir(parents=True)  # of several processes, one succeeds
                break
        run.checkpoints.mkdir()
    except OSError as error:
        raise UserError(f"--log-path {log_path}: {error.strerror}; give a folder that can be written") from error
    run.is_new = True
    run.hold()
    try:
        run.write_running(**({"launch": launch} if launch else {}))
        run.write_args(args or {})
    except UserError:  # a full disk
        run.release()
        shutil.rmtree(run.path, ignore_errors=True)
        raise
    return run


def continued(run: RunDirectory, command: CommandLine, asked: Collection[str] = ()) -> Namespace:
    """The arguments to continue `run` with, as the roles of the flags say.

    asked: flags of the length whose values count although they were not given.
    Raises UserError if a given flag contradicts the recorded one.
    """
    args, recorded = command.args, run.read_args()
    merged = vars(args) | {
        name: value for name, value in recorded.items() if name in vars(args) and not of_command(name)
    }
    for name in sorted({*command.given, *asked} & recorded.keys()):
        value = getattr(args, name)
        if role(name) in ("record", "length") and (name, value) not in KEPT:
            merged[name] = value
        elif role(name) == "model" and value != recorded[name]:
            raise UserError(
                f"--{name} {value} contradicts {run.path}, which was started with {recorded[name]}: "
                "leave the flag out to continue that run; to start a new one, give another --log-path, or leave out "
                "--resume and --load-model"
            )
    return Namespace(**merged)


def differences(run: RunDirectory, args: Namespace) -> list[str]:
    """What tells a run from one that these arguments would make, as in `hy_hes 0, not 40`; empty if it is the same.

    Every argument that changes the weights counts, whether it was given or is the default. A seed, precision or data
    path that the arguments leave open may be any.
    """
    recorded = run.read_args()
    wanted = {name: value for name, value in vars(args).items() if name in recorded and role(name) == "model"}
    if args.seed is None:
        wanted.pop("seed", None)
    if ("precision", getattr(args, "precision", None)) not in KEPT and "precision" in recorded:
        wanted["precision"] = args.precision
    found = [f"{name} {recorded[name]}, not {value}" for name, value in wanted.items() if recorded[name] != value]
    if "data_path" in recorded and hasattr(args, "data_path"):
        before, now = (value and str(Path(value).resolve()) for value in (recorded["data_path"], args.data_path))
        if before != now and (None in (before, now) or args.dataset in ("arrays", "images")):
            found.append(f"data_path {before}, not {now}")
    return sorted(found)


def evaluation(run: RunDirectory, command: CommandLine, check: Check) -> Namespace:
    """The arguments to score `run` with, as the roles of the flags say; a given --seed is that of the scores.

    --eval_dataset and --eval_data_path override --dataset and --data-path. If none of them is given, the model is
    scored on its training data, from the same file. Raises UserError if the recorded arguments are damaged or fail
    `check`, or if that file is missing.
    """
    args, recorded = command.args, run.read_args()
    found = {name: value for name, value in recorded.items() if name in vars(args) and role(name) == "model"}
    merged = Namespace(**{**vars(args), **found})
    merged.seed = found.get("seed") or 0 if args.seed is None else args.seed
    merged.dataset = args.eval_dataset or found.get("dataset", args.dataset)
    merged.data_path = args.eval_data_path or args.data_path
    if not {"data_path", "eval_data_path"} & command.given and merged.dataset == found.get("dataset"):
        merged.data_path = _recorded_data_path(run)
    merged.eval_dataset = merged.eval_data_path = None
    _check_recorded(run.args_file if run.args_file.is_file() else run.reference_args_file, merged, check)
    return merged


def _check_recorded(file: Path, args: Namespace, check: Check) -> None:
    """Call `check`; what it raises is the fault of the file, which somebody may have edited."""
    try:
        check(args)
    except UserError as error:
        raise UserError(f"{file}: {error}") from error
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise UserError(f"{file} is damaged ({first_line(error)[:100]}); restore it or train again") from error


def _recorded_data_path(run: RunDirectory) -> str | None:
    """The path of the run's data; None for the replica. Raises UserError if it no longer exists."""
    recorded = run.read_args()
    path, source = recorded.get("data_path"), recorded.get("data_source")
    if not isinstance(path, str) or Path(path).exists():
        return path if isinstance(path, str) else None
    raise UserError(
        f"{run.path} was trained on the data in {path} ({source}), which is not there: name its folder with "
        "--data-path (none: the replica, if the data set has one)"
    )


def _recorded_seed(run: RunDirectory) -> int | None:
    try:
        return run.read_args().get("seed")
    except UserError as error:
        print(f"warning: {error}: skipped", file=sys.stderr)
        return None


def _is_own(run: RunDirectory, args: Namespace) -> bool:
    """Whether the run is one of these arguments. Prints what differs."""
    try:
        differing = differences(run, args)
    except UserError as error:
        differing = [str(error)]
    if differing:
        print(f"note: {run.path} is another run: {'; '.join(differing)}", file=sys.stderr)
    return not differing
