"""One run over several processes, as `torchrun main.py ...` starts them; alone, everything here does nothing.

A step's batch is cut into one part a process. Noise is drawn for the whole batch and cut alike, and gradients are
averaged by DistributedDataParallel, each part's loss weighted by its share: for a loss made of means over the batch and
of terms of the parameters alone, the step is that of one process, up to rounding.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import nn

from system.errors import UserError

T = TypeVar("T")
PATIENCE = timedelta(hours=12)  # how long the others wait while the first one scores
LOST = re.compile(r"gloo|nccl|connection|peer|socket|store", re.IGNORECASE)


class Group:
    """The processes of a run. Without torchrun, a group of one."""

    def __init__(self):
        self._replica: nn.Module | None = None
        self.size, self.rank, self.local_rank = (
            int(os.environ.get(name, default)) for name, default in (("WORLD_SIZE", 1), ("RANK", 0), ("LOCAL_RANK", 0))
        )

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes, prints and scores."""
        return self.rank == 0

    @property
    def restarted(self) -> bool:
        """Whether torchrun started the processes again after one of them had died."""
        return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0)) > 0

    @contextlib.contextmanager
    def joined(self, device: torch.device) -> Iterator[None]:
        """Connect the processes for the body. Raises UserError, in all, when one of them is lost."""
        if self.size == 1:
            yield
            return
        if device.type not in ("cpu", "cuda"):
            raise UserError(f"--device {device.type} has no way to connect processes; start main.py without torchrun")
        try:
            dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
            yield
        except RuntimeError as error:
            if not LOST.search(str(error)):
                raise
            raise UserError(
                f"process {self.rank} of {self.size} lost another one ({str(error).splitlines()[0][:150]}): see the "
                "first message; torchrun --max-restarts goes on from the last checkpoint"
            ) from error
        finally:
            self._let_go()
            if dist.is_initialized():
                dist.destroy_process_group()

    def _let_go(self) -> None:
        """Free what `wrap` made, wherever it is still referred to, before the connection is closed.

        Freed later, it would be the connection's last owner, and wait, holding the interpreter, for a thread of the
        connection that waits for the interpreter to free a tensor: the process would stand still for ever.
        """
        if self._replica is not None:
            del self._replica.reducer, self._replica.logger
            self._replica = None

    def part(self, n: int) -> slice:
        """The part of a batch of n that this process takes. It is never empty: see `weight`."""
        start, stop = (n * rank // self.size for rank in (self.rank, self.rank + 1))
        return slice(start, stop) if stop > start else slice(0, 1)

    def weight(self, n: int) -> float:
        """What this part's loss counts in the mean over processes: 1 where all parts are equal, 0 for a stand-in."""
        return (n * (self.rank + 1) // self.size - n * self.rank // self.size) * self.size / n

    def wrap(self, model: nn.Module, device: torch.device) -> nn.Module:
        """The model as the training step calls it: with gradients averaged over the processes."""
        if self.size == 1:
            return model
        devices = [device.index] if device.type == "cuda" else None
        self._replica = nn.parallel.DistributedDataParallel(_LossOnly(model), devices, find_unused_parameters=True)
        return self._replica

    def mean(self, terms: dict[str, torch.Tensor], n: int) -> dict[str, torch.Tensor]:
        """Terms of the whole batch of n, from those of the parts."""
        if self.size == 1:
            return terms
        flat = torch.cat([term.flatten() for term in terms.values()]) * (self.weight(n) / self.size)
        dist.all_reduce(flat)
        parts = flat.split([term.numel() for term in terms.values()])
        return {name: part.view_as(term) for (name, term), part in zip(terms.items(), parts, strict=True)}

    def any(self, flag: bool) -> bool:
        """Whether any process says so. Over the CPU: no wait for a GPU."""
        if self.size == 1:
            return flag
        votes = torch.tensor(int(flag))
        dist.all_reduce(votes, dist.ReduceOp.MAX)
        return bool(votes)

    def broadcast(self, make: Callable[[], T]) -> T:
        """What the main process makes: tensors and plain data, in all. Raises its UserError in all."""
        if self.size == 1:
            return make()
        error, buffer = None, io.BytesIO()
        if self.is_main:
            try:
                torch.save({"made": make()}, buffer)
            except UserError as raised:
                error = raised
                torch.save({"error": str(raised)}, buffer)
        length = torch.tensor(buffer.getbuffer().nbytes)
        dist.broadcast(length, 0)
        content = torch.frombuffer(bytearray(buffer.getvalue()), dtype=torch.uint8) if self.is_main else None
        content = torch.empty(int(length), dtype=torch.uint8) if content is None else content
        dist.broadcast(content, 0)
        received = torch.load(io.BytesIO(content.numpy().tobytes()), map_location="cpu", weights_only=True)
        if "error" in received:
            raise error or UserError(received["error"])
        return received["made"]


class Nothing:
    """Stands for an object of the main process in the other ones: every method of it does nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: None


class _LossOnly(nn.Module):
    """Only `loss` keeps its graph: the wrapper would wait for gradients of what is merely watched."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, *args) -> dict[str, torch.Tensor]:
        terms = self.model(*args)
        return {name: term if name == "loss" else term.detach() for name, term in terms.items()}
