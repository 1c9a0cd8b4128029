"""Checkpoints: tensors and plain data only, written atomically, read without executing anything."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch

import atomic
from errors import UserError
from logger.run_directory import RunDirectory

TRAINING_FILE = "training.pt"


def save(run: RunDirectory, model: torch.nn.Module, optimisers: dict, progress: dict) -> None:
    """Write model.pt (the state dict alone, in the published layout) and training.pt (all that continues the run).

    Args:
        optimisers: objective name -> optimiser.
        progress: plain numbers: epoch, batch, step.
    Raises:
        UserError: the disk is full or cannot be written; the files that were there are untouched.
    """
    state = {
        "model": model.state_dict(),
        "optimisers": {name: optimiser.state_dict() for name, optimiser in optimisers.items()},
        "progress": progress,
        "torch": str(torch.__version__),
    }
    with atomic.replacing(run.checkpoints / TRAINING_FILE) as temporary:
        torch.save(state, temporary)
    with atomic.replacing(run.model_file) as temporary:
        torch.save(model.published_state_dict(), temporary)


def load(path: Path) -> dict:
    """Read a file of tensors and plain data onto the CPU. Raises UserError where it is missing, damaged or unsafe."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist: the run was not trained to its first checkpoint") from error
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        reason = str(error).splitlines()[0][:120]
        raise UserError(f"{path} is damaged or holds more than tensors and plain data ({reason})") from error


def load_training(run: RunDirectory) -> dict:
    """What `save` wrote to continue a run."""
    return load(run.checkpoints / TRAINING_FILE)


def load_weights(model: torch.nn.Module, path: Path) -> None:
    """Put the state dict of a model.pt into `model`. Raises UserError where names or shapes differ."""
    state = load(path)
    try:
        model.load_published_state_dict(state)
    except (RuntimeError, AttributeError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path} does not fit the model that the arguments describe: {reason}") from error
