"""What both renderers need: a smaller grid of factors, and a place for the file that overwrites nothing of a user's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from datasets.files import make_directory
from system.errors import UserError


def kept_indices(sizes: Mapping[str, int], every: Mapping[str, int] | None) -> dict[str, np.ndarray]:
    """Indices `[m]` that are kept of each factor: 0, k, 2k, ... where `every` says k, all of the others.

    Raises: UserError when `every` names a factor that is not there or k is less than 1.
    """
    every = dict(every or {})
    for name, k in every.items():
        if name not in sizes:
            raise UserError(f"--every {name}={k}: there is no factor {name}; choose from {', '.join(sizes)}")
        if k < 1:
            raise UserError(f"--every {name}={k}: keep every 1st, 2nd, 3rd, ... value: give a number from 1 up")
    return {name: np.arange(0, size, every.get(name, 1)) for name, size in sizes.items()}


def place_for_replica(directory: str | Path, name: str, is_replica: Callable[[Path], bool]) -> Path:
    """Where the replica goes, the directory made. Raises UserError where a file that is no replica has the name."""
    path = make_directory(Path(directory), "name a directory that can be written") / name
    if path.exists() and not is_replica(path):
        raise UserError(f"{path} is there and is not a replica: name another directory, or move the file away")
    return path
