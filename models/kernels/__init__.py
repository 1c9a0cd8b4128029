"""What computes faster on a CPU than PyTorch's own operations: convolution stacks, and the matrix exponential."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

on = True  # read by this package; set by `switched_off`


@contextlib.contextmanager
def switched_off() -> Iterator[None]:
    """In the body, compute as on any other device: layer by layer, and a training step reads no number."""
    global on
    before, on = on, False
    try:
        yield
    finally:
        on = before
