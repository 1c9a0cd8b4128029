"""Assemble a run: device, seed, data, model, optimisers, logger, checkpoint; then train or evaluate."""

from __future__ import annotations

import contextlib
import os
import resource
import secrets
import sys
from argparse import Namespace
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

import machine
from datasets import DATASETS, check_data_path, load_dataset
from datasets.factor_dataset import FactorDataset, split_indices
from distributed import Group
from errors import UserError
from interruption import Interruption
from logger import checkpoints, resume
from logger.run_directory import RunDirectory
from logger.run_logger import RunLogger
from models import MODELS, build_model, model_class, unread_flags
from models.base_weights import take_base_weights
from models.vae import VAE
from session import Follower, Session
from training_loop import Position, planned_steps, stream_seed, train

# What --evaluate takes from its own command line; everything else comes from the run.
EVALUATION_FLAGS = {
    *("data_path", "dataset", "eval_data_path", "eval_dataset", "split", "seed", "metric_preset", "visualise"),
    *("log_path", "evaluate", "device", "num_threads", "data_on_device", "quiet"),
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


def pick_device(name: str) -> torch.device:
    """`auto` is cuda, else mps, else cpu. Raises UserError for a device that this machine lacks."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(kind for kind, present in available.items() if present)
    if not available[name]:
        raise UserError(f"--device {name} is not available on this machine; use --device auto")
    if name == "cuda":
        torch.cuda.set_device(Group().local_rank)
        # The same seed gives the same bits: no autotuned or atomic kernels.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.benchmark = False
        torch.use_deterministic_algorithms(True, warn_only=True)
    return torch.device(name, Group().local_rank) if name == "cuda" else torch.device(name)


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
    if group.leads:
        for name in unread_flags(args.model, given):
            print(f"note: --{name} does nothing for --model {args.model}")
    product_rate = machine.product_rate(device)  # now: large data are read ahead in the background once they are open
    parts = _assemble(args, checkpoint, device)
    speed = machine.Speed(parts.model, parts.optimisers, device, args.batch_size, product_rate)
    if args.compile:
        parts.model.compile()
    recorded = {**vars(args), "data_source": parts.dataset.source, "torch": str(torch.__version__)}
    log = None
    with contextlib.ExitStack() as stack:
        if group.leads:
            if run_dir is None:
                run_dir = RunDirectory.claim(args.log_path)
            else:
                planned = planned_steps(len(parts.train_index), args.batch_size, args.epochs, args.max_steps)
                resume.prepare(run_dir, checkpoint, recorded, parts.position, planned)
            stack.enter_context(run_dir.training())
            run_dir.write_args(recorded)
            processes = f", {group.size} processes" if group.size > 1 else ""
            print(_describe(run_dir, args, parts.dataset, device) + processes)
            resumed_at = parts.position.step if checkpoint else None
            log = RunLogger(run_dir, resumed_at=resumed_at, share_of_speed=speed.lap)
        kind = Session if group.leads else Follower
        session = kind(args, parts.model, parts.dataset, parts.optimisers, run_dir, log, device, interruption, group)
        if group.leads and checkpoint is None:
            log.arguments(recorded, parts.model)
            session.save(parts.position)
        with interruption.deferred():
            train(
                parts.model,
                parts.dataset,
                parts.train_index,
                parts.validation_index,
                parts.optimisers,
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


class _Parts(NamedTuple):
    """What a training is made of."""

    dataset: FactorDataset
    model: VAE
    optimisers: dict[str, torch.optim.Optimizer]
    position: Position
    train_index: np.ndarray  # int64 [n]
    validation_index: np.ndarray  # int64 [m]


def _assemble(args: Namespace, checkpoint: dict | None, device: torch.device) -> _Parts:
    """Data, model and optimisers as the arguments say, at the checkpoint's position where there is one."""
    dataset = load_dataset(args.dataset, args.data_path, fixed_shape=args.fixed_shape, progress=not args.quiet)
    torch.manual_seed(args.seed)
    model = build_model(args, dataset.channels).to(device, memory_format=torch.channels_last)
    if args.base_model_path and checkpoint is None:
        load_base_model(model, Path(args.base_model_path), args.base_model)
    optimisers = model.make_optimisers(args.learning_rate)
    position = _restore(model, optimisers, checkpoint, args.global_step)
    train_index, validation_index = split_indices(len(dataset), args.split, stream_seed(args.seed, "split"))
    model.training_images = len(train_index)
    if args.data_on_device:
        dataset.to_device(device)
    machine.set_precision(model, args.precision, device)
    return _Parts(dataset, model, optimisers, position, train_index, validation_index)


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
    checkpoints.load_weights(model, run_dir.model_file)
    if args.data_on_device:
        dataset.to_device(device)
    checkpoint = checkpoints.load_training(run_dir)  # the authors' runs have none
    step = checkpoint["progress"]["step"] if checkpoint else 0
    print(_describe(run_dir, args, dataset, device))
    log = RunLogger(run_dir)
    session = Session(args, model, dataset, {}, run_dir, log, device, Interruption(), Group())
    session.score(Position(step=step))
    if args.visualise:
        session.draw(step)
    log.close()
    _print_paths(run_dir, args.visualise)


def check_args(args: Namespace) -> None:
    """Refuse contradictions among the flags. Raises UserError naming the flag and the remedy."""
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


def load_base_model(model: VAE, path: Path, base_model: str) -> None:
    """Start from the layers of another run's encoder and decoder that fit; say which.

    Args:
        path: a run, or its model.pt.
        base_model: the model of that run; the run's own record goes first.
    Raises:
        UserError: the path is no run or model.pt, or nothing in it fits.
    """
    file, name = path, base_model
    if path.is_dir():
        run_dir = RunDirectory.existing(path, "--base-model-path")
        file, name = run_dir.model_file, run_dir.read_args().get("model", base_model)
    trunk = model_class(name if name in MODELS else base_model).trunk
    layers = take_base_weights(model, checkpoints.load(file), trunk)
    if not layers.taken:
        raise UserError(f"--base-model-path {path}: no encoder or decoder layer fits --model; name another run")
    for what, names in (("taken", layers.taken), ("left", layers.left), ("of this model as drawn", layers.fresh)):
        print(f"from {file} ({name}): {len(names)} layers {what}" + (f": {', '.join(names)}" if names else ""))


def _restore(model, optimisers, checkpoint: dict | None, global_step: int | None) -> Position:
    position = Position()
    if checkpoint is not None:
        model.load_state_dict(checkpoint["model"])
        for name, optimiser in optimisers.items():
            optimiser.load_state_dict(checkpoint["optimisers"][name])
        position = Position(**checkpoint["progress"])
        checkpoints.restore_random_states(checkpoint["random"])
    if global_step is not None:
        position.step = global_step
    return position


def _print_paths(run_dir: RunDirectory, visualise: bool) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform != "darwin" else 2**30)
    print(f"log directory      {run_dir.path}")
    if visualise:
        print(f"traversal picture  {run_dir.path / 'traversals.png'}")
    print(f"peak memory        {peak:.2f} GB (memory-mapped data included)")
