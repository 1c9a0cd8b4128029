"""Which arguments a command uses to continue or score a run: those that the run recorded, and those that may differ."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

from logger.run_directory import RunDirectory
from system.command_line import CommandLine
from system.errors import UserError

# Never taken from the run: what concerns the command itself and its machine.
COMMAND_FLAGS = {
    *("log_path", "resume", "load_model", "evaluate", "epoch", "bootstrap", "global_step"),
    *("device", "num_threads", "data_on_device", "compile", "quiet"),
}
# May be changed when a run is continued: its length, what is logged, where the data are, the precision.
CHANGEABLE_FLAGS = {
    "precision",
    *("epochs", "max_steps", "checkpoint_steps", "keep_epochs", "metrics", "end_metrics", "metric_preset", "visualise"),
    *("data_path", "eval_dataset", "eval_data_path"),
}
# Taken from the command line of --evaluate; all others come from the run.
EVALUATION_FLAGS = {
    *("data_path", "dataset", "eval_data_path", "eval_dataset", "split", "seed", "metric_preset", "visualise"),
    *("log_path", "result_path", "evaluate", "epoch", "bootstrap", "device", "num_threads"),
    *("data_on_device", "quiet"),
}
# These do not affect the results.
WITHOUT_EFFECT = {
    *("log_path", "data_path", "eval_data_path", "load_model", "evaluate", "quiet", "global_step"),
    *("data_on_device", "result_path", "epoch", "bootstrap"),
    *("resume", "checkpoint_steps", "keep_epochs", "compile"),
}


def continued(run: RunDirectory, command: CommandLine) -> Namespace:
    """The arguments to continue `run` with: the recorded ones, but for CHANGEABLE_FLAGS and COMMAND_FLAGS.

    Raises UserError if a given flag contradicts the recorded one, or if the recorded arguments are damaged.
    """
    args, recorded = command.args, command.recorded(run.read_args(), run.args_file)
    merged = {**vars(args), **{name: value for name, value in recorded.items() if name not in COMMAND_FLAGS}}
    for name in sorted(command.given & recorded.keys() - COMMAND_FLAGS):
        if name in CHANGEABLE_FLAGS:
            merged[name] = getattr(args, name)
        elif getattr(args, name) != recorded[name]:
            raise UserError(
                f"--{name} {getattr(args, name)} contradicts {run.path}, which was started with {recorded[name]}: "
                "leave the flag out to continue that run; to start a new one, give another --log-path, or leave out "
                "--resume and --load-model"
            )
    return Namespace(**{name: value for name, value in merged.items() if name in vars(args)})


def differences(run: RunDirectory, args: Namespace) -> list[str]:
    """What tells a run from one that these arguments would make, as in `hy_hes 0, not 40`; empty if it is the same.

    Every argument that changes the weights counts, whether it was given or is the default. A seed, precision or data
    path that the arguments leave open may be any.
    """
    recorded = run.read_args()
    own = vars(args).keys() & recorded.keys() - COMMAND_FLAGS - CHANGEABLE_FLAGS - WITHOUT_EFFECT
    wanted = {name: getattr(args, name) for name in own if name != "seed" or args.seed is not None}
    if getattr(args, "precision", "auto") != "auto" and "precision" in recorded:
        wanted["precision"] = args.precision
    found = [f"{name} {recorded[name]}, not {value}" for name, value in wanted.items() if recorded[name] != value]
    if "data_path" in recorded and hasattr(args, "data_path"):
        before, now = (value and str(Path(value).resolve()) for value in (recorded["data_path"], args.data_path))
        if before != now and (None in (before, now) or args.dataset in ("arrays", "images")):
            found.append(f"data_path {before}, not {now}")
    return sorted(found)


def check_made(run: RunDirectory, command: CommandLine, named: bool) -> None:
    """Raise UserError if a command asks for more epochs or steps than those of a finished run; or as `continued`.

    named: --log-path is the run itself, so that flags that were not given are those of the run.
    """
    args, recorded = continued(run, command), command.recorded(run.read_args(), run.args_file)
    for name in sorted(command.given & {"epochs", "max_steps"} if named else {"epochs", "max_steps"}):
        if name not in command.given:
            args = Namespace(**{**vars(args), name: getattr(command.args, name, None)})
        asked, made = getattr(args, name), recorded.get(name)
        if made is not None and (asked is None or asked > made):
            raise UserError(
                f"--{name} {asked}: {run.path} was made with {made}; to train it further, give --load-model in place "
                "of --resume; to start a new run, give another --log-path"
            )


def evaluation(run: RunDirectory, command: CommandLine, check: Callable[[Namespace], None]) -> Namespace:
    """The arguments to score `run` with: the recorded ones, but for EVALUATION_FLAGS.

    --eval_dataset and --eval_data_path override --dataset and --data-path. If none of them is given, the model is
    scored on its training data, from the same file. Raises UserError if the recorded arguments are damaged or fail
    `check`, or if that file is missing.
    """
    args = command.args
    file = run.args_file if run.args_file.is_file() else run.reference_args_file
    own = {name: value for name, value in vars(args).items() if name in EVALUATION_FLAGS}
    replaced = own.keys() - {"dataset", "seed"} | ({"dataset"} if args.eval_dataset else set())
    found = command.recorded({name: value for name, value in run.read_args().items() if name not in replaced}, file)
    merged = Namespace(**{**vars(args), **found, **own})
    merged.seed = found.get("seed") or 0 if args.seed is None else args.seed
    merged.dataset = args.eval_dataset or found.get("dataset", args.dataset)
    merged.data_path = args.eval_data_path or args.data_path
    if not {"data_path", "eval_data_path"} & command.given and merged.dataset == found.get("dataset"):
        merged.data_path = _recorded_data_path(run)
    merged.eval_dataset = merged.eval_data_path = None
    try:
        check(merged)
    except UserError as error:
        raise UserError(f"{file}: {error}") from error
    return merged


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
