"""What computes faster on a CPU than PyTorch's own operations: convolution stacks, and the matrix exponential."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

_on = True


def switched_on() -> bool:
    """Whether the body of no `switched_off` is under way."""
    return _on


@contextlib.contextmanager
def switched_off() -> Iterator[None]:
    """In the body, compute as on any other device: layer by layer, and a training step reads no number."""
    global _on
    before, _on = _on, False
    try:
        yield
    finally:
        _on = before
