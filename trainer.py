"""Train or evaluate as the command line asks: find or make the run, put it together, and see it through."""

from __future__ import annotations

import contextlib
import math
import os
import resource
import sys
from argparse import Namespace
from collections.abc import Callable, Collection
from pathlib import Path

import torch

import datasets
from assembly import Parts, assemble, check_machine, make_step, pick_device
from logger import checkpoints, resume
from logger.run_directory import RunDirectory
from logger.run_logger import RunLogger
from logger.scores import write_scores
from models import build_model, model_class, unread_flags
from session import Follower, Session
from system import machine, randomness
from system.errors import UserError
from system.processes import Group
from system.signals import Interruption
from training_loop import Position, planned_steps, train

Recorded = Callable[[dict, Path], dict]  # (recorded arguments, their file) -> the same, checked and converted

# What --evaluate takes from its own command line; everything else comes from the run.
EVALUATION_FLAGS = {
    *("data_path", "dataset", "eval_data_path", "eval_dataset", "split", "seed", "metric_preset", "visualise"),
    *("log_path", "evaluate", "epoch", "device", "num_threads", "data_on_device", "quiet"),
}


def run(args: Namespace, given: Collection[str], recorded: Recorded) -> None:
    """Do what the command line asks.

    Args:
        given: names of the flags that the user gave; the others hold their defaults.
        recorded: checks the arguments that a run recorded as the command line checks typed ones.
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
            evaluate_run(args, device, recorded)
        return
    try:
        train_run(args, device, given, recorded)
    except resume.NothingToDo as reason:
        print(reason)


def train_run(args: Namespace, device: torch.device, given: Collection[str], recorded: Recorded) -> None:
    """Train as the flags say, in a new run directory or on from a checkpoint, and score the result."""
    group = Group()
    with Interruption() as interruption:
        try:
            with group.joined(device):
                _train(args, device, given, recorded, group, interruption)
        except UserError:
            if interruption.requested and group.size > 1:  # the others went first
                interruption.stop()
            raise


def _train(args: Namespace, device: torch.device, given: Collection[str], recorded, group: Group, interruption) -> None:
    with contextlib.ExitStack() as stack:
        args, run_dir = _agree(args, given, recorded, group)
        if run_dir is not None:
            stack.enter_context(run_dir.held())
        _train_in(run_dir, args, device, given, group, interruption)


def _train_in(run_dir: RunDirectory | None, args: Namespace, device, given, group: Group, interruption) -> None:
    check_machine(args, device, group)
    if group.leads:
        for name in unread_flags(args.model, given):
            print(f"note: --{name} does nothing for --model {args.model}")
    product_rate = machine.product_rate(device)  # now: large data are read ahead in the background once they are open

    def load(model, optimisers, batches: int) -> dict | None:
        most = {"batch": batches}
        return group.from_leader(
            lambda: checkpoints.load_training(run_dir, model, optimisers, Position().as_dict(), most)
        )

    parts = assemble(args, load, device)
    checkpoint = parts.checkpoint
    speed = machine.Speed(parts.model, parts.optimisers, device, args.batch_size, product_rate)
    step = make_step(args, parts, device, group)
    log = None
    with contextlib.ExitStack() as stack:
        if group.leads:
            recorded = {**vars(args), "data_source": parts.dataset.source, "torch": str(torch.__version__)}
            _open_run(run_dir, parts, recorded, device, stack)
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
    run_dir: RunDirectory, parts: Parts, recorded: dict, device: torch.device, stack: contextlib.ExitStack
) -> None:
    """Take a continued run back to its checkpoint, and write down what was asked for.


    It is marked as in training until `stack` ends.
    """
    if not run_dir.is_new:
        batch_size, epochs, max_steps = (recorded[name] for name in ("batch_size", "epochs", "max_steps"))
        planned = planned_steps(len(parts.train_index), batch_size, epochs, max_steps)
        done = parts.position.done(math.ceil(len(parts.train_index) / batch_size))
        resume.prepare(run_dir, parts.checkpoint, recorded, done, planned)
    stack.enter_context(run_dir.training(step=parts.position.step, **machine.circumstances(device)))
    run_dir.write_args(recorded)


def _agree(
    args: Namespace, given: Collection[str], recorded: Recorded, group: Group
) -> tuple[Namespace, RunDirectory | None]:
    """What the leading process finds out for all: the arguments; and for itself the run, held.

    Raises `resume.NothingToDo` in every process where the run is finished already.
    """
    if args.load_model and args.resume != "no":
        raise UserError("--load-model does not go with --resume: leave one of the two out")
    run_dir = None
    mode = "load" if args.load_model else "auto" if args.resume == "no" and group.restarted else args.resume

    def find_out() -> dict:
        nonlocal run_dir
        try:
            run_dir, agreed = resume.start(args, given, mode, check_args, recorded)
        except resume.NothingToDo as reason:
            return {"nothing": str(reason)}
        return {"args": vars(agreed)}

    found = group.from_leader(find_out)
    if "nothing" in found:
        raise resume.NothingToDo(found["nothing"])
    return Namespace(**found["args"]), run_dir


def _describe(run_dir: RunDirectory, args: Namespace, dataset, device: torch.device) -> str:
    data = f"{args.model} on {dataset.name} ({dataset.source})"
    return f"run {run_dir.path}: {data}, seed {args.seed}, device {device}"


def evaluate_run(args: Namespace, device: torch.device, recorded: Recorded) -> None:
    """Score the run that --log-path names; its arguments and weights come from the run."""
    run_dir = RunDirectory.existing(args.log_path)
    file = run_dir.args_file if run_dir.args_file.is_file() else run_dir.published_args_file
    own = {name: value for name, value in vars(args).items() if name in EVALUATION_FLAGS}
    replaced = own.keys() - {"dataset", "seed"} | ({"dataset"} if args.eval_dataset else set())
    found = {name: value for name, value in run_dir.read_args().items() if name not in replaced}
    found = recorded(found, file)
    args = Namespace(**{**vars(args), **found, **own})
    args.seed = found.get("seed") or 0 if args.seed is None else args.seed
    args.dataset = args.eval_dataset or found.get("dataset", args.dataset)
    if args.dataset != run_dir.read_args().get(
        "dataset"
    ):  # what was chosen among the forms of the one means nothing to the other
        vars(args).update(dict.fromkeys(datasets.OPTIONS))
    args.data_path = args.eval_data_path or args.data_path
    args.eval_dataset = args.eval_data_path = None
    try:
        model_class(args.model).check_args(args)
    except UserError as error:
        raise UserError(f"{file}: {error}") from error
    datasets.check_args(args)
    dataset = datasets.from_args(args)
    randomness.seed_all(args.seed)
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
    checkpoint = checkpoints.load_training(run_dir, model, None, Position().as_dict())  # the authors' runs have none
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
    datasets.check_args(args)
    paths = [args.log_path, *Path(args.log_path).absolute().parents]
    existing = next(path for path in paths if os.path.lexists(path))
    if not os.path.isdir(existing) or not os.access(existing, os.W_OK):
        raise UserError(f"--log-path {args.log_path} cannot be written; give another folder")


def _print_paths(run_dir: RunDirectory, visualise: bool) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform != "darwin" else 2**30)
    print(f"log directory      {run_dir.path}")
    if visualise:
        print(f"traversal picture  {run_dir.path / 'traversals.png'}")
    print(f"peak memory        {peak:.2f} GB (memory-mapped data included)")
