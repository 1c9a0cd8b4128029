"""Random numbers: the streams of a run, and the global generators of Python, NumPy and PyTorch.

A stream keeps no state: each draw depends on the run's seed and an index. The project uses the global generators only
to initialise models, but a user's model or metric may draw from them.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

import numpy as np
import torch

STREAMS = {"order": 0, "noise": 1, "split": 2, "validation": 3, "pictures": 4}


def stream_seed(seed: int, stream: str, *index: int) -> int:
    """A seed for one of the run's independent random streams (see STREAMS), at an index such as a step or an epoch."""
    return int(np.random.SeedSequence([seed, STREAMS[stream], *index]).generate_state(1, np.uint64)[0] >> 1)


def permutation(index: np.ndarray, seed: int, stream: str, *at: int) -> np.ndarray:
    """`index` in random order, int64 `[n]` -> int64 `[n]`. The seed is that of `stream_seed`."""
    return np.random.default_rng(stream_seed(seed, stream, *at)).permutation(index)


def seed_all(seed: int) -> None:
    """Seed every global generator. seed: in [0, 2^32), the range of NumPy."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.manual_seed(seed)


def states() -> dict:
    """The states of every global generator, as tensors and plain data."""
    state = np.random.get_state(legacy=False)  # noqa: NPY002
    twister = state["state"]
    return {
        "python": random.getstate(),
        "numpy": [state["bit_generator"], twister["key"].tolist(), twister["pos"], state["has_gauss"], state["gauss"]],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
    }


def restore(states: dict) -> None:
    """Set every global generator to its state in `states`; those of CUDA if the number of devices is the same."""
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(internal), gauss))
    np.random.set_state(tuple(states["numpy"]))  # noqa: NPY002
    torch.set_rng_state(states["torch"])
    if states["cuda"] and torch.cuda.is_initialized() and torch.cuda.device_count() == len(states["cuda"]):
        torch.cuda.set_rng_state_all(states["cuda"])


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Restore every global generator after the body."""
    before = states()
    try:
        yield
    finally:
        restore(before)
