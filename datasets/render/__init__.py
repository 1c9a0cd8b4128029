"""Helpers of both renderers: a smaller grid of factors, and a path that does not overwrite other files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from system.errors import UserError
from system.files import make_directory


def kept_indices(sizes: Mapping[str, int], every: Mapping[str, int] | None) -> dict[str, np.ndarray]:
    """The indices `[m]` to keep of each factor: 0, k, 2k, ... for `every[factor] == k`, otherwise all.

    Raises: UserError if `every` names an unknown factor or k is less than 1.
    """
    every = dict(every or {})
    for name, k in every.items():
        if name not in sizes:
            raise UserError(f"--every {name}={k}: there is no factor {name}; choose from {', '.join(sizes)}")
        if k < 1:
            raise UserError(f"--every {name}={k}: keep every 1st, 2nd, 3rd, ... value: give a number from 1 up")
    return {name: np.arange(0, size, every.get(name, 1)) for name, size in sizes.items()}


def replica_path(directory: str | Path, name: str, is_replica: Callable[[Path], bool]) -> Path:
    """The path of the replica; creates the directory. Raises UserError if the file exists and is not a replica."""
    path = make_directory(Path(directory), "name a directory that can be written") / name
    if path.exists() and not is_replica(path):
        raise UserError(f"{path} is there and is not a replica: name another directory, or move the file away")
    return path
