"""A smaller grid of factors: every k-th value of the factors that are named."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

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
