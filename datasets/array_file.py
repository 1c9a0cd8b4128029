"""What `datasets.npz` and `datasets.hdf5` have in common: an open file of named arrays, read piece by piece."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from system.errors import UserError

PIECE = 2**24  # bytes read at a time
_KINDS = {"uint8": np.uint8, "integers": np.signedinteger, "floats": np.floating}


@dataclass
class ArrayFile:
    """An open file. Its methods raise UserError, ending in `remedy`, for missing and damaged arrays."""

    path: Path
    file: Any
    remedy: str

    def __contains__(self, name: str) -> bool:
        raise NotImplementedError

    def header(self, name: str) -> tuple[tuple[int, ...], np.dtype]:
        """Shape and dtype of an array."""
        raise NotImplementedError

    def read(self, name: str) -> np.ndarray:
        """Read a whole array. Texts may be bytes."""
        raise NotImplementedError

    def rows(self, name: str) -> Iterator[np.ndarray]:
        """Yields the rows of a uint8 array, some at a time: `[m, ...]`."""
        raise NotImplementedError

    def require(self, name: str, kind: str, *shape: int | None) -> int:
        """The length of an array. Raises UserError unless it has this shape (None: any size) and is of this kind."""
        found, dtype = self.header(name)
        fits = len(found) == len(shape) and all(a in (None, b) for a, b in zip(shape, found, strict=True))
        if fits and np.issubdtype(dtype, _KINDS[kind]):
            return found[0]
        expected = ", ".join("n" if size is None else str(size) for size in shape)
        raise UserError(f"{self.path}: expected {name} {kind} [{expected}], found {dtype} {list(found)}: {self.remedy}")
