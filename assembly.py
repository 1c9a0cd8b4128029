"""What a run is made of: device, data, model and optimisers, at the position where the run stands."""

from __future__ import annotations

import functools
import math
import os
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

import datasets
from datasets.factor_dataset import FactorDataset, split_indices
from graphed_step import GraphedStep
from logger import checkpoints
from logger.run_directory import RunDirectory
from models import MODELS, build_model, model_class
from models.base_weights import take_base_weights
from models.vae import VAE
from system import machine, randomness
from system.errors import UserError
from system.processes import Group
from training_loop import Position, stream_seed, train_step


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


class Parts(NamedTuple):
    """What a training is made of."""

    dataset: FactorDataset
    model: VAE
    optimisers: dict[str, torch.optim.Optimizer]
    position: Position
    train_index: np.ndarray  # int64 [n]
    validation_index: np.ndarray  # int64 [m]
    checkpoint: dict | None


def assemble(args: Namespace, load: Callable[..., dict | None], device: torch.device) -> Parts:
    """Data, model and optimisers as the arguments say, at the checkpoint's position where there is one.

    load: (model, optimisers, batches an epoch) -> the checkpoint that fits them, or None.
    """
    dataset = datasets.from_args(args)
    randomness.seed_all(args.seed)
    model = build_model(args, dataset.channels).to(device, memory_format=torch.channels_last)
    optimisers = model.make_optimisers(args.learning_rate)
    train_index, validation_index = split_indices(len(dataset), args.split, stream_seed(args.seed, "split"))
    checkpoint = load(model, optimisers, math.ceil(len(train_index) / args.batch_size))
    if args.base_model_path and checkpoint is None:
        load_base_model(model, Path(args.base_model_path), args.base_model)
    position = _restore(model, optimisers, checkpoint, args.global_step)
    model.training_images = len(train_index)
    if args.data_on_device:
        dataset.to_device(device)
    machine.set_precision(model, args.precision, device)
    return Parts(dataset, model, optimisers, position, train_index, validation_index, checkpoint)


def make_step(args: Namespace, parts: Parts, device: torch.device, group: Group) -> Callable[..., dict]:
    """What makes one update: `train_step` as it is, compiled, recorded, or with gradients averaged over processes."""
    if args.compile:
        parts.model.compile()
    if args.cuda_graph:
        return GraphedStep(parts.model, parts.optimisers, args.batch_size)
    return functools.partial(train_step, group.wrap(parts.model, device), parts.optimisers)


def check_machine(args: Namespace, device: torch.device, group: Group) -> None:
    """Refuse what the machine's flags cannot do together. Raises UserError."""
    if not args.cuda_graph:
        return
    if device.type != "cuda":
        raise UserError(f"--cuda-graph needs a CUDA device, this run is on {device.type}: leave the flag out")
    if args.compile or group.size > 1:
        other = "--compile" if args.compile else "several processes"
        raise UserError(f"--cuda-graph does not go with {other}: leave one of the two out")


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
        randomness.restore(checkpoint["random"])
    if global_step is not None:
        position.step = global_step
    return position
