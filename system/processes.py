"""One run shared by several processes, as `torchrun main.py ...` starts them; or trained by one alone.

Each process takes one part of every batch. Noise is drawn for the whole batch and sliced in the same way. Gradients are
averaged before the optimiser's step, each part's loss weighted by its size. If the loss consists of means over the
batch and of terms of the parameters alone, the update equals that of a single process, up to rounding.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist

from system.errors import UserError, first_line

T = TypeVar("T")
TIMEOUT = timedelta(hours=12)  # of the other processes, which wait while the main one scores


class Group:
    """The processes that share a run: here, one that trains alone."""

    size, rank, local_rank = 1, 0, 0

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes, prints and scores."""
        return self.rank == 0

    @property
    def restarted(self) -> bool:
        """Whether torchrun restarted the processes after one of them died."""
        return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0)) > 0

    @contextlib.contextmanager
    def joined(self, device: torch.device) -> Iterator[None]:
        """Connect the processes for the body. Raises UserError in the others if one of them dies."""
        yield

    def part(self, n: int) -> slice:
        """This process's part of a batch of n. It holds at least one image, even if n < size; see `weight`."""
        return slice(0, n)

    def weight(self, n: int) -> float:
        """Weight of this part's loss in the mean over processes: 1 if parts are equal, 0 if it gets no image."""
        return 1.0

    def average_gradients(self, optimisers: Iterable[torch.optim.Optimizer]) -> None:
        """From now on, average the gradients over the processes before every step of the optimisers."""

    def mean(self, terms: dict[str, torch.Tensor], n: int) -> dict[str, torch.Tensor]:
        """Loss terms of the whole batch of n, from those of its parts."""
        return terms

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process. Communicates over the CPU, without waiting for a GPU."""
        return flag

    def broadcast(self, make: Callable[[], T]) -> T:
        """Call `make` in the main process, and return its result (tensors, plain data) in all; likewise a UserError."""
        return make()


class SharedGroup(Group):
    """Several processes, of which torchrun tells each its number. Each communication waits for all of them."""

    def __init__(self):
        self.size = int(os.environ["WORLD_SIZE"])
        self.rank, self.local_rank = (int(os.environ.get(name, 0)) for name in ("RANK", "LOCAL_RANK"))

    @contextlib.contextmanager
    def joined(self, device: torch.device) -> Iterator[None]:
        if device.type not in ("cpu", "cuda"):
            raise UserError(f"--device {device.type} has no way to connect processes; start main.py without torchrun")
        try:
            with self._connection():
                dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=TIMEOUT)
            yield
        finally:
            if dist.is_initialized():
                dist.destroy_process_group()

    @contextlib.contextmanager
    def _connection(self) -> Iterator[None]:
        """Turn a failed communication in the body into a UserError: another process has died."""
        try:
            yield
        except RuntimeError as error:
            raise UserError(
                f"process {self.rank} of {self.size} lost another one ({first_line(error)[:150]}): see the "
                "first message; torchrun --max-restarts continues from the last checkpoint"
            ) from error

    def part(self, n: int) -> slice:
        start, stop = (n * rank // self.size for rank in (self.rank, self.rank + 1))
        return slice(start, stop) if stop > start else slice(0, 1)

    def weight(self, n: int) -> float:
        return (n * (self.rank + 1) // self.size - n * self.rank // self.size) * self.size / n

    def average_gradients(self, optimisers: Iterable[torch.optim.Optimizer]) -> None:
        for optimiser in optimisers:
            optimiser.register_step_pre_hook(self._average)

    def _average(self, optimiser: torch.optim.Optimizer, *_) -> None:
        parameters = [p for group in optimiser.param_groups for p in group["params"] if p.grad is not None]
        means = self._summed([p.grad / self.size for p in parameters])
        for p, mean in zip(parameters, means, strict=True):
            p.grad.copy_(mean)

    def mean(self, terms: dict[str, torch.Tensor], n: int) -> dict[str, torch.Tensor]:
        weight = self.weight(n) / self.size
        return dict(zip(terms, self._summed([term * weight for term in terms.values()]), strict=True))

    def _summed(self, values: list[torch.Tensor]) -> list[torch.Tensor]:
        """The sums of the values over the processes, in one message."""
        flat = torch.cat([value.flatten() for value in values])  # [all entries]
        with self._connection():
            dist.all_reduce(flat)
        parts = flat.split([value.numel() for value in values])
        return [part.view_as(value) for part, value in zip(parts, values, strict=True)]

    def any(self, flag: bool) -> bool:
        votes = torch.tensor(int(flag))
        with self._connection():
            dist.all_reduce(votes, dist.ReduceOp.MAX)
        return bool(votes)

    def broadcast(self, make: Callable[[], T]) -> T:
        found: list = [None, None]  # the result, the error
        if self.is_main:
            try:
                found[0] = make()
            except UserError as error:
                found[1] = error
        with self._connection():
            dist.broadcast_object_list(found, 0)
        if found[1] is not None:
            raise found[1]
        return found[0]


def this_group() -> Group:
    """The group that this process belongs to, as torchrun says; without it, a process is alone."""
    return SharedGroup() if int(os.environ.get("WORLD_SIZE", 1)) > 1 else Group()


class NullObject:
    """Replaces, in the other processes, an object of the main process: every method does nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: None
