"""Which run a command continues, with which arguments, and how its logs are taken back to the checkpoint."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import sys
from argparse import Namespace
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from logger.run_directory import UNBORN, RunDirectory, array_task, versions
from system.errors import UserError
from system.files import flush_to_disk, lock, remove_partial
from system.processes import Group

# What a command says about itself and its machine: never taken from the run.
OWN = {
    *("log_path", "resume", "load_model", "evaluate", "epoch", "global_step"),
    *("device", "num_threads", "data_on_device", "quiet"),
}
# What may be changed on the way: how long to go on, what to watch, where the data lies now.
CHANGEABLE = {
    *("epochs", "max_steps", "checkpoint_steps", "keep_epochs", "metrics", "end_metrics", "metric_preset", "visualise"),
    *("data_path", "eval_dataset", "eval_data_path"),
}
# What --evaluate takes from its own command line; everything else comes from the run.
EVALUATION_FLAGS = {
    *("data_path", "dataset", "eval_data_path", "eval_dataset", "split", "seed", "metric_preset", "visualise"),
    *("log_path", "result_path", "evaluate", "epoch", "device", "num_threads", "data_on_device", "quiet"),
}

Check = Callable[[Namespace], None]  # refuses arguments that contradict one another
Recorded = Callable[[dict, Path], dict]  # (recorded arguments, their file) -> the same, checked and converted


def agree(
    args: Namespace, given: Collection[str], check: Check, recorded: Recorded, group: Group
) -> tuple[Namespace, RunDirectory | None]:
    """What the main process finds out for all: the arguments; and for itself the run, held. Arguments as in `start`.

    Raises NothingToDo in every process where the run is finished already.
    """
    if args.load_model and args.resume != "no":
        raise UserError("--load-model does not go with --resume: leave one of the two out")
    run = None
    mode = "load" if args.load_model else "auto" if args.resume == "no" and group.restarted else args.resume

    def find_out() -> dict:
        nonlocal run
        try:
            run, agreed = start(args, given, mode, check, recorded)
        except NothingToDo as reason:
            return {"nothing": str(reason)}
        return {"args": vars(agreed)}

    found = group.broadcast(find_out)
    if "nothing" in found:
        raise NothingToDo(found["nothing"])
    return Namespace(**found["args"]), run


def start(
    args: Namespace,
    given: Collection[str],
    mode: str,
    check: Check,
    recorded: Recorded,
) -> tuple[RunDirectory, Namespace]:
    """The run that a command continues, or else a new one, held for this process, and its arguments.

    Looking and claiming is one act: of the commands that start under one --log-path, one at a time does it.

    Args:
        given: names of the flags that the command line really holds.
        mode: `no`, which continues none, or as for `find`.
        check: refuses arguments that contradict one another; nothing is made before it has passed.
        recorded: checks recorded arguments, of the file that it is told, as the command line checks typed ones.
    Raises:
        NothingToDo, UserError: as `find`; or the arguments are refused.
    """
    path = Path(args.log_path)
    if RunDirectory(path).is_run:
        return _continued(find(path, mode, args.seed), args, given, check, recorded)
    if not path.is_dir():
        if mode == "load":
            raise UserError(f"--load-model: {path} holds no run to continue; leave the flag out to start one")
        check(args)
    with _one_at_a_time(path):
        run = find(path, mode, args.seed) if mode != "no" else None
        if run is not None:
            return _continued(run, args, given, check, recorded)
        check(args)
        seed = secrets.randbelow(2**31) if args.seed is None else args.seed
        args = Namespace(**{**vars(args), "seed": seed})
        return RunDirectory.claim(path, vars(args)), args


@contextlib.contextmanager
def _one_at_a_time(log_path: Path) -> Iterator[None]:
    """Hold the lock of the folder, which is made. What a killed start left of a run that never was is removed."""
    try:
        log_path.mkdir(parents=True, exist_ok=True)
        release = lock(log_path / ".lock", f"waiting for another process that starts a run under {log_path}")
        for path in log_path.glob(f".*{UNBORN}"):
            shutil.rmtree(path, ignore_errors=True)
    except OSError as error:
        raise UserError(f"--log-path {log_path}: {error.strerror}; give a folder that can be written") from error
    try:
        yield
    finally:
        release()


def _continued(run: RunDirectory, args: Namespace, given, check, recorded) -> tuple[RunDirectory, Namespace]:
    try:
        merged = merged_args(run, args, given, recorded)
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
    return bool(task) and len(numbers) > 1 and numbers[0] == task[0] and numbers[1] != task[1]


def merged_args(run: RunDirectory, args: Namespace, given: Collection[str], recorded: Recorded) -> Namespace:
    """The run's recorded arguments, with those of the command line that may differ.

    Args:
        given: names of the flags that the command line really holds.
        recorded: checks recorded arguments, of the file that it is told, as the command line checks typed ones.
    Raises:
        UserError: a flag was given that contradicts what the run was started with, or the record is damaged.
    """
    recorded = recorded(run.read_args(), run.args_file)
    merged = {**vars(args), **{name: value for name, value in recorded.items() if name not in OWN}}
    for name in sorted(set(given) & recorded.keys() - OWN):
        if name in CHANGEABLE:
            merged[name] = getattr(args, name)
        elif getattr(args, name) not in (recorded[name], "auto"):  # auto: as it was chosen then
            raise UserError(
                f"--{name} {getattr(args, name)} contradicts {run.path}, which was started with {recorded[name]}: "
                "leave the flag out to continue that run, or leave out --resume and --load-model to start a new one"
            )
    return Namespace(**{name: value for name, value in merged.items() if name in vars(args)})


def evaluation_args(
    run: RunDirectory, args: Namespace, given: Collection[str], check: Check, recorded: Recorded
) -> Namespace:
    """The arguments to score `run` with: its own, but for those of EVALUATION_FLAGS.

    --eval_dataset and --eval_data_path go before --dataset and --data-path. Where none of them says which data, they
    are those of the training, the same file included. Raises UserError where the record is damaged, or the file gone.
    """
    file = run.args_file if run.args_file.is_file() else run.published_args_file
    own = {name: value for name, value in vars(args).items() if name in EVALUATION_FLAGS}
    replaced = own.keys() - {"dataset", "seed"} | ({"dataset"} if args.eval_dataset else set())
    found = recorded({name: value for name, value in run.read_args().items() if name not in replaced}, file)
    merged = Namespace(**{**vars(args), **found, **own})
    merged.seed = found.get("seed") or 0 if args.seed is None else args.seed
    merged.dataset = args.eval_dataset or found.get("dataset", args.dataset)
    merged.data_path = args.eval_data_path or args.data_path
    if not {"data_path", "eval_data_path"} & set(given) and merged.dataset == found.get("dataset"):
        merged.data_path = _recorded_data_path(run)
    merged.eval_dataset = merged.eval_data_path = None
    try:
        check(merged)
    except UserError as error:
        raise UserError(f"{file}: {error}") from error
    return merged


def _recorded_data_path(run: RunDirectory) -> str | None:
    """Where the run's data lie; None for the replica. Raises UserError where they are no longer there."""
    recorded = run.read_args()
    path, source = recorded.get("data_path"), recorded.get("data_source")
    if not isinstance(path, str) or Path(path).exists():
        return path if isinstance(path, str) else None
    raise UserError(
        f"{run.path} was trained on the data in {path} ({source}), which is not there: name its folder with "
        "--data-path, or give --data-path none to score on the replica"
    )


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
