"""Checkpoints: written with the weights alone, read, and the way back to them."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import numpy as np
import torch

from logger.catalogue import PICTURES
from logger.run_directory import RunDirectory
from system import randomness
from system.errors import UserError
from system.files import flush_to_disk, load_tensors, not_finite, remove_partial, write_tensors


def state(model: torch.nn.Module, optimisers: dict, progress: dict, args: dict, logs: dict) -> dict:
    """The contents of training.pt.

    Args:
        optimisers: objective name -> optimiser.
        progress: a `training_loop.Position` as a dict.
        args: the run's arguments, plain data.
        logs: name -> current length in bytes of every log file, see `log_lengths`.
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


def save(run: RunDirectory, model, optimisers: dict, progress: dict, args: dict, kept: Path | None = None) -> None:
    """Write training.pt (see `state`) and model.pt (the state dict alone, in the reference layout).

    The previous training.pt becomes training.previous.pt. Everything logged must have been handed to the system.

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
    weights = {name: value.cpu() for name, value in model.reference_state_dict().items()}  # torch.load: on any machine
    content = state(model, optimisers, progress, args, log_lengths(run))

    # All is on the disk, or the disk is full, before a file is renamed. model.pt first: a run killed between the two
    # resumes from the previous checkpoint and writes both again. In the other order, a run killed at its last step
    # would count as trained to the end, with an old model.pt.
    def write_weights() -> None:
        for file in (kept, run.model_file) if kept else (run.model_file,):
            write_tensors(weights, file)

    write_tensors(content, run.training_file, keep=run.previous_training_file, meanwhile=write_weights)
    run.is_new = False


def load_training(run: RunDirectory) -> dict | None:
    """The newest whole checkpoint of the run, as `save` wrote it; None if it has no checkpoint.

    A file whose checksums hold is what was written. If the last one is damaged, prints a warning and returns the one
    before it. Raises UserError if the run has checkpoints, but none is whole.
    """
    files = [file for file in (run.training_file, run.previous_training_file) if file.is_file()]
    for i, file in enumerate(files):
        try:
            return load_tensors(file)
        except UserError as error:
            if i + 1 == len(files):
                raise
            print(f"warning: {error}; continuing from the checkpoint before it", file=sys.stderr)
    return None


def load_newest(model, run: RunDirectory) -> int | None:
    """Load the newest weights of a run, which may be in training, into a `models.vae.VAE`. Returns their step.

    None: there is no whole checkpoint to tell; the authors' code wrote none. Raises UserError as `load_weights`.
    """

    def newest_step() -> int | None:
        try:
            checkpoint = load_training(run)
        except UserError as error:
            print(f"warning: {error}; the step of these weights is not known", file=sys.stderr)
            return None
        return checkpoint["progress"]["step"] if checkpoint else None

    while True:
        step = newest_step()
        load_weights(model, run.model_file)
        if step is None or newest_step() == step:  # no checkpoint was written meanwhile
            return step


def load_weights(model, path: Path) -> None:
    """Load a model.pt into a `models.vae.VAE`. Raises UserError if it is damaged or does not fit."""
    weights = load_tensors(path)
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
        return load_tensors(path), base_model
    run = RunDirectory.existing(path, "--base-model-path")
    return load_tensors(run.model_file), run.read_args().get("model", base_model)


def restore(model: torch.nn.Module, optimisers: dict, checkpoint: dict) -> None:
    """Restore model, optimisers and the global random generators from a checkpoint.

    Raises UserError if it is one of another model or of other code.
    """
    try:
        model.load_state_dict(checkpoint["model"])
        for name, optimiser in optimisers.items():
            optimiser.load_state_dict(checkpoint["optimisers"][name])
        randomness.restore(checkpoint["random"])
    except (LookupError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"the checkpoint does not fit this run ({type(error).__name__}: {reason}): restore it or train again"
        ) from error


def check_and_rewind(
    run: RunDirectory, checkpoint: dict | None, recorded: dict, steps_done: int, total_steps: int
) -> None:
    """Check that a run can be continued, rewind its logs to the checkpoint, and print the step it continues from.

    Args:
        recorded: the new contents of args.json.
        steps_done: steps done at the checkpoint, whatever their numbers.
        total_steps: steps of the whole run.
    Raises:
        UserError: the run is finished, or has only its weights left, or was started on other data.
    """
    before = run.read_args()
    # A run that was killed before its first checkpoint may not have recorded its data yet.
    source, now = before.get("data_source"), recorded["data_source"]
    # Older versions recorded no checksum of a user's own images.
    if now not in (source, f"{source}, {now.rpartition(', ')[2]}") and (checkpoint or source):
        raise UserError(f"{run.path} was started on {source}, not on {now}: give its --data-path again")
    if checkpoint and (version := checkpoint["versions"]["torch"]) != recorded["torch"]:
        print(f"warning: {run.path} continues under torch {recorded['torch']}, not {version}: last digits may differ")
    if run.state() != "finished":
        rewind(run, checkpoint)
    elif checkpoint is None:
        raise UserError(
            f"{run.path} is finished and has no checkpoint to continue from, only its weights: score them by "
            "--evaluate, or start a new run from them by --base-model-path"
        )
    elif steps_done >= total_steps:
        now = " and ".join(str(recorded.get(name)).lower() for name in ("epochs", "max_steps"))
        raise UserError(
            f"--load-model: {run.path} is finished after {steps_done} steps; raise --epochs or --max-steps, now {now}, "
            "to train it further, or leave the flag out to start a new run"
        )
    print(f"continuing {run.path} from step {steps_done} of {total_steps}")


def rewind(run: RunDirectory, checkpoint: dict | None) -> None:
    """Truncate every log file to its length at the checkpoint, so that no step is logged twice.

    Removes event files that are newer than the checkpoint; without a checkpoint, all of them: the run starts over.
    Scores that are cut off take their files with them: the run must not end with scores of an earlier step.
    """
    lengths = checkpoint["logs"] if checkpoint else {}
    if _scored_since(run, lengths.get(run.metrics_file.name, 0)):
        pictures = (run.path / picture.file for picture in PICTURES.values() if picture.section == "scores")
        for path in (run.scores_file, run.codes_file, *pictures):
            path.unlink(missing_ok=True)
    remove_partial(run.path)
    remove_partial(run.checkpoints)
    for name, length in lengths.items():
        path = run.path / name
        if length and (not path.exists() or path.stat().st_size < length):
            print(f"warning: {path} is shorter than at the last checkpoint: what it lacks is lost", file=sys.stderr)
    for path in _logs(run):
        length = lengths.get(path.name, 0)
        if length == 0:
            path.unlink(missing_ok=True)
        elif path.stat().st_size > length:
            os.truncate(path, length)


def _scored_since(run: RunDirectory, length: int) -> bool:
    """Whether scores stand in log_metrics.txt beyond its first `length` bytes."""
    if not run.metrics_file.exists():
        return False
    with open(run.metrics_file, "rb") as file:
        file.seek(length)
        return b"dmetric/" in file.read()


def log_lengths(run: RunDirectory) -> dict[str, int]:
    """Flush every log file to the disk. Returns their lengths in bytes, for `rewind`."""
    lengths = {}
    for path in _logs(run):
        flush_to_disk(path)
        lengths[path.name] = path.stat().st_size
    return lengths


def _logs(run: RunDirectory) -> list[Path]:
    files = [run.metrics_file, run.scalars_file, *run.path.glob("events.*")]
    return [path for path in files if path.exists()]
