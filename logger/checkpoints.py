"""Checkpoints, from which a run resumes, and its weights alone."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import numpy as np
import torch

from logger.run_directory import RunDirectory
from system import randomness
from system.errors import UserError
from system.tensors import load, not_finite, write


def state(model: torch.nn.Module, optimisers: dict, progress: dict, args: dict, logs: dict) -> dict:
    """The contents of training.pt.

    Args:
        optimisers: objective name -> optimiser.
        progress: a `training_loop.Position` as a dict.
        args: the run's arguments, plain data.
        logs: name -> current length in bytes of every log file, see `RunLogger.lengths`.
    """
    return {
        "model": model.state_dict(),
        "optimisers": {name: optimiser.state_dict() for name, optimiser in optimisers.items()},
        "progress": progress,
        "random": randomness.states(),
        "args": args,
        "logs": logs,
        "versions": {"python": platform.python_version(), "torch": str(torch.__version__), "numpy": np.__version__},
    }


def save(
    run: RunDirectory,
    model,
    optimisers: dict,
    progress: dict,
    args: dict,
    logs: dict,
    kept: Path | None = None,
) -> None:
    """Write training.pt (see `state`) and model.pt (the state dict alone, in the reference layout).

    The previous training.pt becomes training.previous.pt.

    Args:
        model: a `models.vae.VAE`.
        kept: also write model.pt under this name, which later checkpoints do not replace.
    Raises:
        UserError: a weight or a state of an optimiser is not finite, or the files cannot be written; earlier files are
            unchanged.
    """
    if bad := not_finite(model.state_dict()):
        raise UserError(
            f"the weights {', '.join(bad[:3])} are not finite after step {progress['step']}; the last checkpoint is "
            "kept: lower --learning-rate"
        )
    for name, optimiser in optimisers.items():  # `load_training` would refuse them
        for moments in optimiser.state.values():
            if bad := not_finite(moments):
                raise UserError(
                    f"{bad[0]} of the optimiser {name} is not finite after step {progress['step']}, its gradients are "
                    "too large; the last checkpoint is kept: lower the largest weight of the loss"
                )
    # model.pt first: a run killed between the two resumes from the previous checkpoint and writes both again. In the
    # other order, a run killed at its last step would count as trained to the end, with an old model.pt.
    for file in (kept, run.model_file) if kept else (run.model_file,):
        write(model.reference_state_dict(), file)
    write(state(model, optimisers, progress, args, logs), run.training_file, keep=run.previous_training_file)
    run.is_new = False


def load_training(
    run: RunDirectory,
    model: torch.nn.Module,
    optimisers: dict | None,
    progress: dict,
    most: dict[str, int] | None = None,
) -> dict | None:
    """The newest valid checkpoint of the run, as `save` wrote it; None if it has no checkpoint.

    If the last one is damaged or does not fit the run, prints a warning and returns the one before it.

    Args:
        model, optimisers: newly made ones, which it must fit. None: its optimisers are not checked.
        progress: that of a new run, for its names and types.
        most: name in `progress` -> the largest valid value.
    Raises:
        UserError: the run has checkpoints, but none is valid.
    """
    from logger.checkpoint_flaws import flaw  # only where there is a checkpoint to look at

    fresh = state(model, optimisers or {}, progress, {}, {})
    files = [file for file in (run.training_file, run.previous_training_file) if file.is_file()]
    for i, file in enumerate(files):
        try:
            found = load(file)
            if reason := flaw(found, fresh, optimisers, most or {}):
                raise UserError(f"{file} does not fit this run ({reason}); restore it or train again")
            return found
        except UserError as error:
            if i + 1 == len(files):
                raise
            print(f"warning: {error}; continuing from the checkpoint before it", file=sys.stderr)
    return None


def load_weights(model, path: Path) -> None:
    """Load a model.pt into a `models.vae.VAE`. Raises UserError if it is damaged or does not fit."""
    weights = load(path)
    try:
        model.load_reference_state_dict(weights)
    except (RuntimeError, AttributeError, TypeError, KeyError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        described = f"the model that the arguments describe, for images with channels: {model.channels}"
        raise UserError(f"{path} does not fit {described}: {reason}") from error
    if bad := not_finite(model.state_dict()):
        raise UserError(f"{path} holds weights that are not finite ({', '.join(bad[:3])}); restore it or train again")


def load_base(path: Path, base_model: str) -> tuple[dict[str, torch.Tensor], str]:
    """The state dict of --base-model-path, a run or a model.pt, and the name of its model.

    For a run, that is the recorded model, for a model.pt `base_model`. Raises UserError if the path is neither.
    """
    if not path.is_dir():
        return load(path), base_model
    run = RunDirectory.existing(path, "--base-model-path")
    return load(run.model_file), run.read_args().get("model", base_model)


def restore(model: torch.nn.Module, optimisers: dict, checkpoint: dict) -> None:
    """Restore model, optimisers and the global random generators from a checkpoint."""
    model.load_state_dict(checkpoint["model"])
    for name, optimiser in optimisers.items():
        optimiser.load_state_dict(checkpoint["optimisers"][name])
    randomness.restore(checkpoint["random"])
