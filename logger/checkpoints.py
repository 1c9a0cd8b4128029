"""Checkpoints: tensors and plain data only, written atomically, read without executing anything."""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import platform
import random
import re
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import torch

from logger.run_directory import RunDirectory
from system.errors import UserError
from system.files import replacing


def save(
    run: RunDirectory,
    model: torch.nn.Module,
    optimisers: dict,
    progress: dict,
    args: dict,
    logs: dict,
    kept: Path | None = None,
) -> None:
    """Write training.pt (all that continues the run) and model.pt (the state dict alone, in the published layout).

    The training.pt that was there becomes training.previous.pt: the last two are kept.

    Args:
        optimisers: objective name -> optimiser.
        progress: plain numbers: where the training loop stands.
        args: the run's arguments, plain data.
        logs: file name -> length in bytes of every log file now, see `RunLogger.lengths`.
        kept: another name for what model.pt holds, which no later checkpoint replaces.
    Raises:
        UserError: a weight is not finite, or the disk is full or cannot be written; the files that were there stay.
    """
    weights = model.state_dict()
    if bad := [name for name, value in weights.items() if not torch.isfinite(value).all()]:
        raise UserError(
            f"the weights {', '.join(bad[:3])} are not finite after step {progress['step']}; the last checkpoint is "
            "kept: lower --learning-rate"
        )
    state = {
        "model": weights,
        "optimisers": {name: optimiser.state_dict() for name, optimiser in optimisers.items()},
        "progress": progress,
        "random": random_states(),
        "args": args,
        "logs": logs,
        "versions": {"python": platform.python_version(), "torch": str(torch.__version__), "numpy": np.__version__},
    }
    # model.pt first: a run that is killed between the two goes on from the checkpoint before and writes both again. The
    # other way round, a run killed at its last step would be found trained to the end, with an old model.pt.
    for file in (kept, run.model_file) if kept else (run.model_file,):
        write(model.published_state_dict(), file)
    write(state, run.training_file, keep=run.previous_training_file)


def write(content, path: Path, keep: Path | None = None) -> None:
    """torch.save `content` to `path`, atomically; `keep` as in `system.files.replacing`. Raises UserError."""
    buffer = io.BytesIO()  # so that a full disk is met by an OSError of Python's, not inside torch.save
    torch.save(content, buffer)
    with replacing(path, keep=keep) as temporary, open(temporary, "wb") as file:
        file.write(buffer.getbuffer())


def load(path: Path, allowed: tuple = ()) -> dict:
    """Read a file of tensors and plain data onto the CPU. Nothing that it holds is executed.

    Args:
        allowed: classes that may be in it besides, such as argparse.Namespace.
    Raises:
        UserError: it is missing, damaged, or holds anything else.
    """
    try:
        with torch.serialization.safe_globals(list(allowed)):
            return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist: the run was not trained to its first checkpoint") from error
    except pickle.UnpicklingError as error:
        if named := re.search(r"GLOBAL (\S+)", str(error)):
            raise UserError(
                f"{path} is refused, and nothing in it was run: it asks for {named[1]}, not only for tensors and plain "
                "data; ask its author for the bare state dict"
            ) from error
        raise UserError(
            f"{path} is damaged or was not written by torch.save, and nothing in it was run; restore it or train again"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError, TypeError, AttributeError, IndexError, OSError) as error:
        raise UserError(f"{path} is damaged ({_first_line(error)}); restore it or train again") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]


def load_training(run: RunDirectory) -> dict | None:
    """The newest whole checkpoint of the run, as `save` made it; None where it has none.

    A damaged one is reported on stderr and the one before it is taken. Raises UserError where every one is damaged.
    """
    files = [file for file in (run.training_file, run.previous_training_file) if file.is_file()]
    for i, file in enumerate(files):
        try:
            state = load(file)
            if not isinstance(state, dict) or not {"model", "optimisers", "progress"} <= state.keys():
                raise UserError(f"{file} is no checkpoint of a run")
            return state
        except UserError as error:
            if i + 1 == len(files):
                raise
            print(f"warning: {error}; continuing from the checkpoint before it", file=sys.stderr)
    return None


def load_args(path: Path) -> dict:
    """The arguments in an args.pt of the published layout, a pickled argparse.Namespace. Raises UserError as `load`."""
    content = load(path, allowed=(Namespace,))
    if isinstance(content, Namespace):
        content = vars(content)
    if not isinstance(content, dict):
        raise UserError(f"{path} holds no arguments; restore it or train again")
    return {name: _unquoted(value) for name, value in content.items()}


def _unquoted(value):
    """Lists and None may have been recorded as the text that the command line held."""
    if isinstance(value, str) and (value.startswith("[") or value == "None"):
        with contextlib.suppress(ValueError):
            return json.loads(value.replace("None", "null"))
    return value


def load_weights(model: torch.nn.Module, path: Path) -> None:
    """Put the state dict of a model.pt into `model`. Raises UserError where names or shapes differ."""
    state = load(path)
    try:
        model.load_published_state_dict(state)
    except (RuntimeError, AttributeError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path} does not fit the model that the arguments describe: {reason}") from error


def random_states() -> dict:
    """The states of every global generator, as tensors and plain data.

    The training loop draws from none of them; they are kept for a model or a metric that does.
    """
    kind, keys, position, has_gauss, gauss = np.random.get_state()  # noqa: NPY002
    return {
        "python": random.getstate(),
        "numpy": [kind, keys.tolist(), position, has_gauss, gauss],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_random_states(states: dict) -> None:
    """Set every global generator to what `random_states` gave; CUDA's where there are as many devices."""
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(internal), gauss))
    np.random.set_state(tuple(states["numpy"]))  # noqa: NPY002
    torch.set_rng_state(states["torch"])
    if states["cuda"] and torch.cuda.is_available() and torch.cuda.device_count() == len(states["cuda"]):
        torch.cuda.set_rng_state_all(states["cuda"])
