"""A training step recorded once and replayed: one call in place of several hundred small ones.

A GPU finishes the small operations of these models faster than Python can hand them over. A CUDA graph keeps the whole
step, forward, backward and optimisers, as one object (PyTorch's `torch.cuda.CUDAGraph`). What a recording cannot do is
ask: no value of the step may be read by Python or come from it, every tensor keeps its place, every shape its size. The
tests check this of every model, with a recorder that needs no GPU.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from system.errors import UserError
from training_loop import train_step

Terms = dict[str, torch.Tensor]
WARM_UP = 3  # steps done one operation after another first: libraries set themselves up, Adam makes its moments


def record_cuda_graph(step: Callable[[], Terms]) -> tuple[Terms, Callable[[], None]]:
    """Record what `step` would do, without doing it. Returns the tensors it will fill, and what does it."""
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            terms = step()
    except RuntimeError as error:
        reason = str(error).splitlines()[0][:150]
        raise UserError(f"--cuda-graph: this step cannot be recorded ({reason}): leave the flag out") from error
    return terms, graph.replay


class GraphedStep:
    """`train_step` for batches of one size, recorded after WARM_UP steps; batches of another size are not recorded.

    Args:
        model, optimisers: as `train_step` takes them, on the device where they stay.
        batch_size: images of the batches that are worth recording.
        record: `record_cuda_graph`, or what stands for it.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        optimisers: dict[str, torch.optim.Optimizer],
        batch_size: int,
        record: Callable[[Callable[[], Terms]], tuple[Terms, Callable[[], None]]] = record_cuda_graph,
    ):
        self.model, self.optimisers, self.batch_size, self.record = model, optimisers, batch_size, record
        self.warm_up = WARM_UP
        self.replay: Callable[[], None] | None = None
        for optimiser in optimisers.values():
            for group in optimiser.param_groups:
                group["capturable"] = True  # the count of steps, which Adam's correction needs, stays on the device

    def __call__(self, x: torch.Tensor, noise: dict[str, torch.Tensor], step: int, weight: float = 1.0) -> Terms:
        """One update, as `train_step` makes it. The terms are the caller's: the next replay leaves them alone."""
        if len(x) != self.batch_size:
            return train_step(self.model, self.optimisers, x, noise, step, weight)
        if self.warm_up:
            self.warm_up -= 1
            return self._beside(lambda: train_step(self.model, self.optimisers, x, noise, step, weight))
        if self.replay is None:
            self._record(x, noise, step, weight)
        self.x.copy_(x)  # [batch, channels, height, width]
        for name, value in noise.items():
            self.noise[name].copy_(value)
        self.step.fill_(step)  # []
        self.replay()
        return {name: term.clone() for name, term in self.terms.items()}

    def _record(self, x: torch.Tensor, noise: dict[str, torch.Tensor], step: int, weight: float) -> None:
        self.x = x.clone()  # [batch, channels, height, width]
        self.noise = {name: value.clone() for name, value in noise.items()}
        self.step = torch.tensor(step, device=x.device)  # int64 []
        for optimiser in self.optimisers.values():
            optimiser.zero_grad(set_to_none=True)  # the recording makes gradients of its own
        self.terms, self.replay = self.record(
            lambda: train_step(self.model, self.optimisers, self.x, self.noise, self.step, weight)
        )

    @staticmethod
    def _beside(step: Callable[[], Terms]) -> Terms:
        """`step` on a stream of its own, as steps before a recording have to be; on a CPU as it is."""
        if not torch.cuda.is_available():
            return step()
        main, aside = torch.cuda.current_stream(), torch.cuda.Stream()
        aside.wait_stream(main)
        with torch.cuda.stream(aside):
            terms = step()
        main.wait_stream(aside)
        return terms
