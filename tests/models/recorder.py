"""Notes the operations of a step, on a CPU, and refuses those for which a GPU would be waited for.

These read a value of a tensor into Python, or have results whose shape depends on one.
"""

from __future__ import annotations

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

# Operations whose result Python reads, or whose shape depends on values: the host would have to wait for the device.
# `lift_fresh` is a tensor made of Python's values: its copy to the device would be waited for as well.
WAITING = {
    "lift_fresh",
    *("_local_scalar_dense", "item", "is_nonzero", "equal", "nonzero", "nonzero_numpy", "argwhere"),
    *("masked_select", "_unique", "_unique2", "unique_dim", "unique_consecutive", "bincount", "repeat_interleave"),
}


class Waits(Exception):
    """The step asked for a value."""


def waits(name: str, arguments: list) -> bool:
    """Whether an operation of this name has to wait for the device."""
    masks = (isinstance(a, torch.Tensor) and a.dtype in (torch.bool, torch.uint8) for a in arguments[1:])
    return name in WAITING or (name in ("index", "index_put_", "index_put") and any(masks))


class Tape(TorchDispatchMode):
    """Every operation below autograd, in order."""

    def __init__(self):
        super().__init__()
        self.operations: list[tuple] = []  # what was called, and what came out

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = operation._schema.name.removeprefix("aten::")
        if waits(name, tree_leaves((args, kwargs))):
            raise Waits(name)
        out = operation(*args, **kwargs)
        self.operations.append((operation, out))
        return out

    def signature(self) -> list[tuple]:
        """Names of the operations, and the shapes of what came out: what a device would be given to do."""
        shape = lambda value: tuple(value.shape) if isinstance(value, torch.Tensor) else None  # noqa: E731
        return [(operation._schema.name, tree_map(shape, out)) for operation, out in self.operations]


class OnOneDevice(TorchDispatchMode):
    """Fails at a tensor of another device: a copy from or to the host, which the host might have to wait for."""

    def __init__(self, device: str):
        super().__init__()
        self.device = device

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        out = operation(*args, **(kwargs or {}))
        for value in tree_leaves((args, kwargs, out)):
            if isinstance(value, torch.Tensor) and value.device.type != self.device:
                raise Waits(f"{operation._schema.name} with a tensor of {value.device}")
        return out
