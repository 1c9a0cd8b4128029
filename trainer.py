"""Assemble a run: device, seed, data, model, optimisers, logger, checkpoint; then train or evaluate."""

from __future__ import annotations

import functools
import os
import resource
import secrets
import sys
from argparse import Namespace
from collections.abc import Collection
from pathlib import Path

import numpy as np
import torch

import machine
import metrics
from datasets import DATASETS, check_data_path, load_dataset
from datasets.factor_dataset import split_indices
from errors import UserError
from interruption import Interruption
from logger import checkpoints, inputs, resume
from logger.run_directory import RunDirectory
from logger.run_logger import RunLogger
from logger.scores import score_table
from models import MODELS, build_model, model_class, unread_flags
from models.base_weights import take_base_weights
from models.vae import VAE
from training_loop import Position, permutation, planned_steps, stream_seed, train

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
        # The same seed gives the same bits: no autotuned or atomic kernels.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.benchmark = False
        torch.use_deterministic_algorithms(True, warn_only=True)
    return torch.device(name)


def train_run(args: Namespace, device: torch.device, given: Collection[str]) -> None:
    """Train as the flags say, in a new run directory or on from a checkpoint, and score the result."""
    run_dir = checkpoint = None
    if args.load_model or args.resume != "no":
        run_dir = resume.find(args.log_path, "load" if args.load_model else args.resume, args.seed)
    if run_dir is not None:
        args = resume.merged_args(run_dir, args, given)
        checkpoint = checkpoints.load_training(run_dir)
    check_args(args)
    for name in unread_flags(args.model, given):
        print(f"note: --{name} does nothing for --model {args.model}")
    if args.seed is None:
        args.seed = secrets.randbelow(2**31)
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
    speed = machine.Speed(model, optimisers, device, args.batch_size)
    if args.compile:
        model.compile()
    planned = planned_steps(len(train_index), args.batch_size, args.epochs, args.max_steps)
    recorded = {**vars(args), "data_source": dataset.source, "torch": str(torch.__version__)}
    if run_dir is None:
        run_dir = RunDirectory.claim(args.log_path)
    else:
        resume.prepare(run_dir, checkpoint, recorded, position, planned)
    with Interruption() as interruption, run_dir.training():
        run_dir.write_args(recorded)
        print(
            f"run {run_dir.path}: {args.model} on {dataset.name} ({dataset.source}), seed {args.seed}, device {device}"
        )
        log = RunLogger(run_dir, resumed_at=position.step if checkpoint else None, share_of_speed=speed.lap)
        if checkpoint is None:
            log.arguments(recorded, model)
        session = _Session(args, model, dataset, optimisers, run_dir, log, device, interruption)
        if checkpoint is None:
            session.on_checkpoint(position)
        with interruption.deferred():
            train(
                model,
                dataset,
                train_index,
                validation_index,
                optimisers,
                session,
                position,
                seed=args.seed,
                epochs=args.epochs,
                max_steps=args.max_steps,
                batch_size=args.batch_size,
                shuffle=args.shuffle,
                device=device,
                show_bar=not args.quiet,
            )
        if args.visualise:
            log.animate_training(position.step)
        if args.end_metrics and not (args.metrics and position.step):  # the last epoch was scored already
            session.score(position)
        log.close()
    print(f"training speed     {speed.summary()}")
    _print_paths(run_dir, args.visualise)


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
    print(f"run {run_dir.path}: {args.model} on {dataset.name} ({dataset.source}), seed {args.seed}, device {device}")
    log = RunLogger(run_dir)
    session = _Session(args, model, dataset, {}, run_dir, log, device, Interruption())
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


class _Session:
    """What a run does when the training loop reports: log, draw, score, save."""

    def __init__(self, args, model, dataset, optimisers, run_dir, log: RunLogger, device, interruption: Interruption):
        self.args, self.model, self.dataset, self.optimisers = args, model, dataset, optimisers
        self.run_dir, self.log, self.device, self.interruption = run_dir, log, device, interruption

    @functools.cached_property
    def picture_inputs(self) -> inputs.PictureInputs:
        """The images that all pictures of this run are drawn from."""
        index = permutation(np.arange(len(self.dataset)), self.args.seed, "pictures")
        return inputs.gather(self.dataset, index, self.device)

    def on_report(self, position: Position, terms: dict[str, torch.Tensor], images_per_second: float) -> None:
        self.log.training(terms, images_per_second, position.step, position.images)
        if self.args.visualise:
            self.log.frame(self.model, self.picture_inputs, position.step)

    def wants_checkpoint(self, position: Position, epoch_ends: bool) -> bool:
        """Before slow scores a checkpoint is written as well as after, so that no step is lost to them."""
        due = self.args.checkpoint_steps and position.step % self.args.checkpoint_steps == 0
        return bool(self.interruption.requested or due or (epoch_ends and self.args.metrics))

    def on_checkpoint(self, position: Position) -> None:
        """Save; then stop, where that was asked for."""
        logs = self.log.lengths()
        checkpoints.save(self.run_dir, self.model, self.optimisers, position.as_dict(), vars(self.args), logs)
        if self.interruption.requested:
            self.interruption.stop()

    def on_epoch(self, position: Position, validation: dict[str, torch.Tensor]) -> None:
        """Log, draw and score before the checkpoint: a run that dies on the way does all of it again."""
        self.log.validation(validation, position.step, position.images)
        if self.args.visualise:
            self.draw(position.step)
        if self.args.metrics:
            self.score(position)
        self.on_checkpoint(position)

    def draw(self, step: int) -> None:
        self.log.pictures(self.model, self.picture_inputs, step)

    def score(self, position: Position) -> None:
        """Disentanglement scores on the whole data set, on the screen and in the run."""
        dataset = self._evaluation_dataset()
        settings = {"seed": self.args.seed, "preset": self.args.metric_preset}
        self.model.eval()
        matrices: dict[str, np.ndarray] = {}
        with self.interruption.deferred(False):  # scores take minutes and keep no state: a signal stops them at once
            values = metrics.evaluate(
                self._mean_code, dataset, device=self.device, progress=not self.args.quiet, keep=matrices, **settings
            )
        self.model.train()
        protocol = {
            **metrics.protocol(**settings),
            "dataset": dataset.name,
            "data_source": dataset.source,
            "images": len(dataset),
        }
        self.log.scores(values, protocol, position.step)
        if self.args.visualise:
            self.log.score_matrices(matrices, dataset.factor_names, position.step)
        print(score_table(values, protocol))

    @torch.no_grad()
    def _mean_code(self, x: torch.Tensor) -> torch.Tensor:
        """x `[n, channels, 64, 64]` -> the mean code `[n, latents]`."""
        mu, _ = self.model.encode(x)  # [n, latents]
        return mu

    def _evaluation_dataset(self):
        """What --eval_dataset and --eval_data_path name; without them, the data of the training, all of it."""
        args = self.args
        name, path = args.eval_dataset or args.dataset, args.eval_data_path or args.data_path
        if (name, path) == (args.dataset, args.data_path):
            return self.dataset
        fixed_shape = args.fixed_shape if name == args.dataset else None
        dataset = load_dataset(name, path, fixed_shape=fixed_shape, progress=not args.quiet)
        if dataset.channels != self.dataset.channels:
            raise UserError(f"--eval_dataset {name} has {dataset.channels} channels, the model {self.dataset.channels}")
        return dataset


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
