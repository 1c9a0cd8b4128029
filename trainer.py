"""Train or evaluate as the command line asks: find or make the run, put it together, and see it through."""

from __future__ import annotations

import contextlib
import os
import resource
import secrets
import sys
from argparse import Namespace
from collections.abc import Collection
from pathlib import Path

import torch

from assembly import Parts, assemble, check_machine, make_step, pick_device
from datasets import DATASETS, check_data_path, load_dataset
from logger import checkpoints, resume
from logger.run_directory import RunDirectory
from logger.run_logger import RunLogger
from logger.scores import write_scores
from models import MODELS, build_model, model_class, unread_flags
from session import Follower, Session
from system import machine
from system.errors import UserError
from system.processes import Group
from system.signals import Interruption
from training_loop import Position, planned_steps, train

# What --evaluate takes from its own command line; everything else comes from the run.
EVALUATION_FLAGS = {
    *("data_path", "dataset", "eval_data_path", "eval_dataset", "split", "seed", "metric_preset", "visualise"),
    *("log_path", "evaluate", "epoch", "device", "num_threads", "data_on_device", "quiet"),
}


def run(args: Namespace, given: Collection[str] = ()) -> None:
    """Do what the command line asks.

    Args:
        given: names of the flags that the user gave; the others hold their defaults.
    Raises:
        UserError: what the user can mend, before any work where it can.
        Interrupted: the process was asked to stop, and a run can be continued from its checkpoint.
    """
    if args.num_threads:
        torch.set_num_threads(args.num_threads)
    machine.keep_freed_memory()
    device = pick_device(args.device)
    if args.evaluate:
        if Group().leads:
            evaluate_run(args, device)
        return
    try:
        train_run(args, device, given)
    except resume.NothingToDo as reason:
        print(reason)


def train_run(args: Namespace, device: torch.device, given: Collection[str]) -> None:
    """Train as the flags say, in a new run directory or on from a checkpoint, and score the result."""
    group = Group()
    with Interruption() as interruption:
        try:
            with group.joined(device):
                _train(args, device, given, group, interruption)
        except UserError:
            if interruption.requested and group.size > 1:  # the others went first
                interruption.stop()
            raise


def _train(args: Namespace, device: torch.device, given: Collection[str], group: Group, interruption) -> None:
    args, run_dir, checkpoint = _agree(args, given, group)
    check_args(args)
    check_machine(args, device, group)
    if group.leads:
        for name in unread_flags(args.model, given):
            print(f"note: --{name} does nothing for --model {args.model}")
    product_rate = machine.product_rate(device)  # now: large data are read ahead in the background once they are open
    parts = assemble(args, checkpoint, device)
    speed = machine.Speed(parts.model, parts.optimisers, device, args.batch_size, product_rate)
    step = make_step(args, parts, device, group)
    log = None
    with contextlib.ExitStack() as stack:
        if group.leads:
            recorded = {**vars(args), "data_source": parts.dataset.source, "torch": str(torch.__version__)}
            run_dir = _open_run(run_dir, checkpoint, parts, recorded, device, stack)
            processes = f", {group.size} processes" if group.size > 1 else ""
            print(_describe(run_dir, args, parts.dataset, device) + processes)
            log = RunLogger(run_dir, resumed_at=parts.position.step if checkpoint else None, share_of_speed=speed.lap)
        kind = Session if group.leads else Follower
        session = kind(args, parts.model, parts.dataset, parts.optimisers, run_dir, log, device, interruption, group)
        if group.leads and checkpoint is None:
            log.arguments(recorded, parts.model)
            session.save(parts.position)
        with interruption.deferred():
            train(
                parts.model,
                step,
                parts.dataset,
                parts.train_index,
                parts.validation_index,
                session,
                parts.position,
                seed=args.seed,
                epochs=args.epochs,
                max_steps=args.max_steps,
                batch_size=args.batch_size,
                shuffle=args.shuffle,
                device=device,
                show_bar=group.leads and not args.quiet,
                group=group,
            )
        if group.leads:
            session.finish(parts.position)
    if group.leads:
        print(f"training speed     {speed.summary()}")
        _print_paths(run_dir, args.visualise)


def _open_run(
    run_dir: RunDirectory | None,
    checkpoint: dict | None,
    parts: Parts,
    recorded: dict,
    device: torch.device,
    stack: contextlib.ExitStack,
) -> RunDirectory:
    """The run's directory, new or taken back to its checkpoint, with what was asked for written down.

    It is marked as in training until `stack` ends.
    """
    if run_dir is None:
        run_dir = RunDirectory.claim(recorded["log_path"])
    else:
        batch_size, epochs, max_steps = (recorded[name] for name in ("batch_size", "epochs", "max_steps"))
        planned = planned_steps(len(parts.train_index), batch_size, epochs, max_steps)
        resume.prepare(run_dir, checkpoint, recorded, parts.position, planned)
    stack.enter_context(run_dir.training(step=parts.position.step, **machine.circumstances(device)))
    run_dir.write_args(recorded)
    return run_dir


def _agree(args: Namespace, given: Collection[str], group: Group) -> tuple[Namespace, RunDirectory | None, dict | None]:
    """What the leading process finds out for all: arguments, the run to continue (for itself), its checkpoint.

    Raises `resume.NothingToDo` in every process where the run is finished already.
    """
    run_dir = None

    def find_out() -> dict:
        nonlocal run_dir
        try:
            run_dir, merged = _find_run(args, given, group)
        except resume.NothingToDo as reason:
            return {"nothing": str(reason)}
        if merged.seed is None:
            merged.seed = secrets.randbelow(2**31)
        return {"args": vars(merged), "checkpoint": checkpoints.load_training(run_dir) if run_dir else None}

    found = group.from_leader(find_out)
    if "nothing" in found:
        raise resume.NothingToDo(found["nothing"])
    return Namespace(**found["args"]), run_dir, found["checkpoint"]


def _find_run(args: Namespace, given: Collection[str], group: Group) -> tuple[RunDirectory | None, Namespace]:
    """The run to continue, if one is, and the arguments to go on with."""
    mode = "load" if args.load_model else "auto" if args.resume == "no" and group.restarted else args.resume
    run_dir = resume.find(args.log_path, mode, args.seed) if mode != "no" else None
    return run_dir, resume.merged_args(run_dir, args, given) if run_dir else args


def _describe(run_dir: RunDirectory, args: Namespace, dataset, device: torch.device) -> str:
    data = f"{args.model} on {dataset.name} ({dataset.source})"
    return f"run {run_dir.path}: {data}, seed {args.seed}, device {device}"


def evaluate_run(args: Namespace, device: torch.device) -> None:
    """Score the run that --log-path names; its arguments and weights come from the run."""
    run_dir = RunDirectory.existing(args.log_path)
    recorded = run_dir.read_args()
    own = {name: value for name, value in vars(args).items() if name in EVALUATION_FLAGS}
    trained_on = recorded.get("dataset", args.dataset)
    args = Namespace(**{**vars(args), **recorded, **own})
    args.seed = recorded.get("seed", 0) if args.seed is None else args.seed
    args.dataset = args.eval_dataset or trained_on
    args.data_path = args.eval_data_path or args.data_path
    args.eval_dataset = args.eval_data_path = None
    if args.model not in MODELS:
        raise UserError(f"--log-path {run_dir.path} is a run of the model {args.model!r}, which is not known here")
    check_data(args)
    dataset = load_dataset(args.dataset, args.data_path, fixed_shape=args.fixed_shape, progress=not args.quiet)
    model = build_model(args, dataset.channels).to(device, memory_format=torch.channels_last)
    checkpoints.load_weights(model, _weights_file(run_dir, args.epoch))
    if args.data_on_device:
        dataset.to_device(device)
    if args.epoch is not None:
        print(_describe(run_dir, args, dataset, device) + f", the weights after epoch {args.epoch}")
        session = Session(args, model, dataset, {}, run_dir, None, device, Interruption(), Group())
        values, protocol, _ = session.measure()
        file = run_dir.path / f"scores_epoch_{args.epoch}.json"
        write_scores(file, values, {**protocol, "epoch": args.epoch})
        print(f"scores             {file}")
        return
    checkpoint = checkpoints.load_training(run_dir)  # the authors' runs have none
    step = checkpoint["progress"]["step"] if checkpoint else 0
    print(_describe(run_dir, args, dataset, device))
    if checkpoint and run_dir.state() != "finished":
        print("note: this run is unfinished; when it goes on, the lines that this evaluation logs are cut off its log")
    log = RunLogger(run_dir)
    session = Session(args, model, dataset, {}, run_dir, log, device, Interruption(), Group())
    session.score(Position(step=step))
    if args.visualise:
        session.draw(step)
    log.close()
    _print_paths(run_dir, args.visualise)


def _weights_file(run_dir: RunDirectory, epoch: int | None) -> Path:
    """The newest weights of the run, or those kept after an epoch. Raises UserError where these were not kept."""
    if epoch is None:
        return run_dir.model_file
    if not run_dir.kept_file(epoch).is_file():
        kept = ", ".join(map(str, run_dir.kept_epochs())) or "none"
        raise UserError(
            f"--epoch {epoch}: {run_dir.path} has the weights of these epochs: {kept}; name one of them, or leave the "
            "flag out to score the newest weights (--keep-epochs keeps more)"
        )
    return run_dir.kept_file(epoch)


def check_args(args: Namespace) -> None:
    """Refuse contradictions among the flags. Raises UserError naming the flag and the remedy."""
    if args.epoch is not None:
        raise UserError("--epoch names weights for --evaluate: add that flag; the length of a training is --epochs")
    model_class(args.model).check_args(args)
    if args.base_model_path and not Path(args.base_model_path).exists():
        raise UserError(f"--base-model-path {args.base_model_path} does not exist; name a run or its model.pt")
    check_data(args)
    existing = next(path for path in [Path(args.log_path), *Path(args.log_path).absolute().parents] if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise UserError(f"--log-path {args.log_path} cannot be written; give another folder")


def check_data(args: Namespace) -> None:
    """Refuse a data set or a path that cannot be used. Raises UserError."""
    for flag, name in (("--dataset", args.dataset), ("--eval_dataset", args.eval_dataset)):
        if name is not None and name not in DATASETS:
            raise UserError(f"{flag}: {name!r} is no data set; choose from {', '.join(DATASETS)}")
    check_data_path(args.dataset, args.data_path, args.fixed_shape)


def _print_paths(run_dir: RunDirectory, visualise: bool) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform != "darwin" else 2**30)
    print(f"log directory      {run_dir.path}")
    if visualise:
        print(f"traversal picture  {run_dir.path / 'traversals.png'}")
    print(f"peak memory        {peak:.2f} GB (memory-mapped data included)")
