"""Which run a command continues, with which arguments, and how its logs are taken back to the checkpoint."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Collection
from pathlib import Path

from logger.run_directory import RunDirectory, array_task, versions
from system.errors import UserError
from system.files import flush_to_disk, remove_partial

# What a command says about itself and its machine: never taken from the run.
OWN = {
    *("log_path", "resume", "load_model", "evaluate", "epoch", "global_step"),
    *("device", "num_threads", "data_on_device", "cuda_graph", "quiet"),
}
# What may be changed on the way: how long to go on, what to watch, where the data lies now.
CHANGEABLE = {
    *("epochs", "max_steps", "checkpoint_steps", "keep_epochs", "metrics", "end_metrics", "metric_preset", "visualise"),
    *("data_path", "eval_dataset", "eval_data_path"),
}


def find(log_path: str | Path, mode: str, seed: int | None = None) -> RunDirectory | None:
    """The run that a command continues, held for this process; None where it starts a new one.

    That is the newest unfinished run under `log_path` (or `log_path` itself, where it is a run), with a seed the newest
    of that seed. Runs that another process trains are passed over, and so are those of other tasks of the same Slurm
    array.

    Args:
        mode: `auto`; `once`, which starts no second run where one is finished or under way; or `load`, which takes the
            newest finished run where none is unfinished.
    Raises:
        NothingToDo: `once`, and there is such a run.
        UserError: `load`, and there is no run at all.
    """
    path = Path(log_path)
    if RunDirectory(path).args_file.is_file():
        candidates = [RunDirectory(path)]
    else:
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
        print(f"{busy}: passed over", file=sys.stderr)
    if mode == "once" and busy:
        raise NothingToDo(f"{busy}: nothing to do")
    if mode == "load":
        raise UserError(f"--load-model: {path} holds no run to continue; leave the flag out to start one")
    return None


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


def merged_args(run: RunDirectory, args: Namespace, given: Collection[str]) -> Namespace:
    """The run's recorded arguments, with those of the command line that may differ.

    Args:
        given: names of the flags that the command line really holds.
    Raises:
        UserError: a flag was given that contradicts what the run was started with.
    """
    recorded = run.read_args()
    merged = {**vars(args), **{name: value for name, value in recorded.items() if name not in OWN}}
    for name in sorted(set(given) & recorded.keys() - OWN):
        if name in CHANGEABLE:
            merged[name] = getattr(args, name)
        elif getattr(args, name) != recorded[name]:
            raise UserError(
                f"--{name} {getattr(args, name)} contradicts {run.path}, which was started with {recorded[name]}: "
                "leave the flag out to continue that run, or leave out --resume and --load-model to start a new one"
            )
    return Namespace(**{name: value for name, value in merged.items() if name in vars(args)})


def prepare(run: RunDirectory, checkpoint: dict | None, recorded: dict, position, planned: int) -> None:
    """Take the logs of a run that is continued back to its checkpoint, and say where it goes on.

    Args:
        recorded: the arguments and circumstances that are about to be recorded.
        position: where the checkpoint stands.
        planned: steps that the whole run takes.
    Raises:
        UserError: the run is finished, or its data are not what it was started with.
    """
    before = run.read_args()
    if (source := before.get("data_source")) != recorded["data_source"]:
        raise UserError(
            f"{run.path} was started on {source}, not on {recorded['data_source']}: give its --data-path again"
        )
    if checkpoint and (version := checkpoint["versions"]["torch"]) != recorded["torch"]:
        print(f"warning: {run.path} goes on under torch {recorded['torch']}, not {version}: the last digits may differ")
    if run.state() != "finished":
        rewind(run, checkpoint)
    elif position.step >= planned:
        raise UserError(
            f"--load-model: {run.path} is finished after {position.step} steps; raise --epochs or --max-steps to train "
            "it further, or leave the flag out to start a new run"
        )
    print(f"continuing {run.path} from step {position.step} of {planned}")


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
