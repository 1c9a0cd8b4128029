"""One run shared by several processes, as `torchrun main.py ...` starts them; or trained by one alone.

Each process takes one part of every batch. Noise is drawn for the whole batch and sliced in the same way. Gradients are
averaged before the optimiser's step, each part's loss weighted by its size. If the loss consists of means over the
batch and of terms of the parameters alone, the update equals that of a single process, up to rounding.
"""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist

from system.errors import UserError, first_line

T = TypeVar("T")
TIMEOUT = timedelta(hours=12)  # of the other processes, which wait while the main one scores
MEETING = 300  # seconds to wait for the other processes at the start


class Group:
    """The processes that share a run, of which torchrun tells each its number; without it, one that trains alone.

    Each communication waits for all processes.
    """

    def __init__(self):
        self.size, self.rank, self.local_rank = _number("WORLD_SIZE", 1), 0, 0
        if self.size > 1:
            self.rank, self.local_rank = _number("RANK"), _number("LOCAL_RANK", 0)

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes, prints and scores."""
        return self.rank == 0

    @property
    def restarted(self) -> bool:
        """Whether torchrun restarted the processes after one of them died."""
        return _number("TORCHELASTIC_RESTART_COUNT", 0) > 0

    @property
    def launch(self) -> str:
        """What tells the torchrun that started this process from any other; the same after a restart."""
        given = os.environ.get("TORCHELASTIC_RUN_ID", "none")
        return given if given != "none" else f"{platform.node()}, process {os.getppid()}"

    @contextlib.contextmanager
    def joined(self, device: torch.device) -> Iterator[None]:
        """Connect the processes for the body. Raises UserError in the others if one of them dies."""
        if self.size == 1:
            yield
            return
        if device.type not in ("cpu", "cuda"):
            raise UserError(f"--device {device.type} has no way to connect processes; start main.py without torchrun")
        try:
            store = self._store()
            with self._connection():
                backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
                dist.init_process_group(backend, store=store, rank=self.rank, world_size=self.size, timeout=TIMEOUT)
            yield
        finally:
            if dist.is_initialized():
                dist.destroy_process_group()

    def _store(self) -> dist.Store:
        """The store in which all processes have met, for this attempt alone.

        torchrun may keep its store over restarts; with the keys of the attempt before, new processes would wait for
        old ones. Raises UserError if not all come within MEETING seconds. Between tries a signal is noticed.
        """
        host, port = os.environ.get("MASTER_ADDR"), _number("MASTER_PORT")
        if not host:
            raise UserError(f"WORLD_SIZE is {self.size}, but MASTER_ADDR is not set: {REMEDY}")
        serves = self.rank == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
        attempt = f"attempt {os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}"
        start, told, arrived = time.monotonic(), False, 0
        store: dist.Store | None = None
        while time.monotonic() - start < MEETING:
            with contextlib.suppress(RuntimeError):  # of dist: no store at that address yet
                if store is None:
                    whole = dist.TCPStore(
                        host, port, self.size, serves, timedelta(seconds=2), wait_for_workers=False, multi_tenant=True
                    )
                    store = dist.PrefixStore(attempt, whole)
                    store.add("arrived", 1)
                arrived = store.add("arrived", 0)
                if arrived >= self.size:
                    store.set_timeout(TIMEOUT)
                    return store
            if not told and time.monotonic() - start > 5:
                print(f"waiting for {self.size} processes at {host}:{port}", file=sys.stderr, flush=True)
                told = True
            time.sleep(0.05)
        raise UserError(f"only {arrived} of {self.size} processes came to {host}:{port} within {MEETING} s: {REMEDY}")

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
        """This process's part of a batch of n. It holds at least one image, even if n < size; see `weight`."""
        start, stop = (n * rank // self.size for rank in (self.rank, self.rank + 1))
        return slice(start, stop) if stop > start else slice(0, 1)

    def weight(self, n: int) -> float:
        """Weight of this part's loss in the mean over processes: 1 if parts are equal, 0 if it gets no image."""
        return (n * (self.rank + 1) // self.size - n * self.rank // self.size) * self.size / n

    def average_gradients(self, optimisers: Iterable[torch.optim.Optimizer]) -> None:
        """From now on, average the gradients over the processes before every step of the optimisers."""
        for optimiser in optimisers if self.size > 1 else ():
            optimiser.register_step_pre_hook(self._average)

    def _average(self, optimiser: torch.optim.Optimizer, *_) -> None:
        parameters = [p for group in optimiser.param_groups for p in group["params"] if p.grad is not None]
        means = self._summed([p.grad / self.size for p in parameters])
        for p, mean in zip(parameters, means, strict=True):
            p.grad.copy_(mean)

    def mean(self, terms: dict[str, torch.Tensor], n: int) -> dict[str, torch.Tensor]:
        """Loss terms of the whole batch of n, from those of its parts."""
        if self.size == 1:
            return terms
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
        """Whether the flag is set in any process. Communicates over the CPU, without waiting for a GPU."""
        if self.size == 1:
            return flag
        votes = torch.tensor(int(flag))
        with self._connection():
            dist.all_reduce(votes, dist.ReduceOp.MAX)
        return bool(votes)

    def broadcast(self, make: Callable[[], T]) -> T:
        """Call `make` in the main process, and return its result (tensors, plain data) in all; likewise a UserError."""
        found: list = [None, None]  # the result, the error
        try:
            found[0] = make() if self.is_main else None
        except UserError as error:
            found[1] = error
        if self.size > 1:
            with self._connection():
                dist.broadcast_object_list(found, 0)
        if found[1] is not None:
            raise found[1]
        return found[0]


REMEDY = "start main.py by torchrun, or unset WORLD_SIZE and RANK to train alone"


def _number(name: str, default: int | None = None) -> int:
    """The environment variable as a number. Raises UserError if it is none, or missing without a default."""
    text = os.environ.get(name, "" if default is None else str(default))
    if not text.isdecimal():
        what = f"is {text!r}, not a number" if text else "is not set, but WORLD_SIZE is"
        raise UserError(f"the environment variable {name} {what}: {REMEDY}")
    return int(text)
