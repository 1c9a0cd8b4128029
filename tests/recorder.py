"""What a CUDA graph does to a step, on a CPU: operations are noted once, on the tensors that they met, and replayed.

A value that Python read, a shape that depended on one, or a tensor that was put in another's place would be that of the
recording for ever: the replay on other images then gives other numbers than the step itself. Operations that read a
value are refused while recording, as CUDA refuses them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

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
    """Every operation below autograd, in order: what was called, with what, and what came out."""

    def __init__(self):
        super().__init__()
        self.operations: list[tuple] = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = operation._schema.name.removeprefix("aten::")
        if waits(name, tree_leaves((args, kwargs))):
            raise Waits(name)
        out = operation(*args, **kwargs)
        self.operations.append((operation, args, kwargs, out))
        return out

    def replay(self) -> None:
        """Do it again, on the same tensors: results go where those of the recording went."""
        for operation, args, kwargs, out in self.operations:
            new = operation(*args, **kwargs)
            for old, fresh in zip(tree_leaves(out), tree_leaves(new), strict=True):
                if isinstance(old, torch.Tensor) and old.data_ptr() != fresh.data_ptr():
                    old.copy_(fresh)

    def signature(self) -> list[tuple]:
        """Names of the operations, and the shapes of what came out: what a device would be given to do."""
        shape = lambda value: tuple(value.shape) if isinstance(value, torch.Tensor) else None  # noqa: E731
        return [(operation._schema.name, tree_map(shape, out)) for operation, _, _, out in self.operations]


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


def recorder(state: Callable[[], Iterable[torch.Tensor]]) -> Callable:
    """What stands for `record_cuda_graph`: a recording changes nothing, so the tensors of `state()` are put back."""

    def record(step: Callable[[], dict]) -> tuple[dict, Callable[[], None]]:
        kept = [(tensor, tensor.clone()) for tensor in state()]
        with Tape() as tape:
            terms = step()
        with torch.no_grad():
            for tensor, before in kept:
                tensor.copy_(before)
        return terms, torch.no_grad()(tape.replay)

    return record
