"""Checkpoints: all that continues a run, and the weights alone."""

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
    """What training.pt holds.

    Args:
        optimisers: objective name -> optimiser.
        progress: plain numbers: where the training loop stands.
        args: the run's arguments, plain data.
        logs: file name -> length in bytes of every log file now, see `RunLogger.lengths`.
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

    The training.pt that was there becomes training.previous.pt: the last two are kept.

    Args:
        model: a `models.vae.VAE`.
        kept: another name for what model.pt holds, which no later checkpoint replaces.
    Raises:
        UserError: a weight is not finite, or the disk is full or cannot be written; the files that were there stay.
    """
    if bad := not_finite(model.state_dict()):
        raise UserError(
            f"the weights {', '.join(bad[:3])} are not finite after step {progress['step']}; the last checkpoint is "
            "kept: lower --learning-rate"
        )
    # model.pt first: a run that is killed between the two goes on from the checkpoint before and writes both again. The
    # other way round, a run killed at its last step would be found trained to the end, with an old model.pt.
    for file in (kept, run.model_file) if kept else (run.model_file,):
        write(model.reference_state_dict(), file)
    write(state(model, optimisers, progress, args, logs), run.training_file, keep=run.previous_training_file)


def load_training(
    run: RunDirectory,
    model: torch.nn.Module,
    optimisers: dict | None,
    progress: dict,
    most: dict[str, int] | None = None,
) -> dict | None:
    """The newest checkpoint of the run that is whole and fits, as `save` made it; None where it has none.

    One that does not is reported on stderr and the one before it is taken.

    Args:
        model, optimisers: what it must fit; freshly made. Without optimisers, theirs are not looked at.
        progress: numbers of a new run, for their names and types.
        most: the largest value that a number of `progress` may have, by name.
    Raises:
        UserError: no checkpoint of the run is whole and fits.
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
    """Put the state dict of a model.pt into a `models.vae.VAE`. Raises UserError where names or shapes differ."""
    weights = load(path)
    try:
        model.load_reference_state_dict(weights)
    except (RuntimeError, AttributeError, TypeError, KeyError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path} does not fit the model that the arguments describe: {reason}") from error
    if bad := not_finite(model.state_dict()):
        raise UserError(f"{path} holds weights that are not finite ({', '.join(bad[:3])}); restore it or train again")


def load_base(path: Path, base_model: str) -> tuple[dict[str, torch.Tensor], str]:
    """The state dict that --base-model-path names, a run or its model.pt, and the name of its model.

    The run's own record of its model goes before `base_model`. Raises UserError where it is neither.
    """
    if not path.is_dir():
        return load(path), base_model
    run = RunDirectory.existing(path, "--base-model-path")
    return load(run.model_file), run.read_args().get("model", base_model)


def restore(model: torch.nn.Module, optimisers: dict, checkpoint: dict) -> None:
    """Put a checkpoint (what `save` wrote) into model, optimisers and the global generators."""
    model.load_state_dict(checkpoint["model"])
    for name, optimiser in optimisers.items():
        optimiser.load_state_dict(checkpoint["optimisers"][name])
    randomness.restore(checkpoint["random"])
