"""Epochs and steps, for any model and any data set.

Nothing random has a state: the order of an epoch follows from (seed, epoch), the noise of a step from (seed, step). A
run is continued to the bit from its position, the weights and the optimisers.
"""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass

import numpy as np
import torch

from system import machine
from system.errors import UserError

MAX_VALIDATION_BATCHES = 50
STREAMS = {"order": 0, "noise": 1, "split": 2, "validation": 3, "pictures": 4}

Terms = dict[str, torch.Tensor]


def train(run) -> None:
    """Train `run` (a `trainer.Run`, or an object with its methods) from its position to its end.

    Raises:
        UserError: the loss is not finite; the message names the term and the step.
        Interrupted: the run was asked to stop; it has written a checkpoint.
    """
    watch, clock = Watch(), Clock()
    while not run.finished:
        for index in run.rest_of_epoch():  # int64 [batch]; the order follows from (seed, epoch)
            terms = run.step(index)  # one update; waits for nothing
            watch.note(run.position.step, terms)
            clock.images += len(index)
            if run.report_due:  # now and then, because reading the loss waits for the device
                watch.check()
                run.report(terms, len(index), clock.lap())
            if run.agree_to_save():  # asks all processes
                watch.check()
                run.save()  # the run ends here, where a signal asked for it
        watch.check()
        run.end_epoch()  # validate, draw, score, save
        clock.restart()


def train_step(
    model: torch.nn.Module,
    optimisers: dict[str, torch.optim.Optimizer],
    x: torch.Tensor,
    noise: dict[str, torch.Tensor],
    step: int,
    weight: float = 1.0,
) -> Terms:
    """One update of every objective, in order. Returns the detached loss terms; no wait for the device.

    `weight` multiplies the gradients: the share of a part of the batch, see `system.processes`.
    The first objective's terms keep their names; those of another one, `o`, become `o_<term>`.
    """
    reported: Terms = {}
    for objective, optimiser in optimisers.items():
        terms = model(x, noise, step, objective)
        optimiser.zero_grad(set_to_none=True)
        (terms["loss"] if weight == 1 else terms["loss"] * weight).backward()
        optimiser.step()
        prefix = f"{objective}_" if reported else ""
        reported |= {prefix + name: term.detach() for name, term in terms.items()}
    return reported


@torch.no_grad()
def validate(model, dataset, index: np.ndarray, batch_size: int, step: int, device: torch.device) -> Terms:
    """Loss terms in evaluation mode (z = mu), averaged over at most a tenth of the batches of `index`, at most 50."""
    batches = min(max(1, math.ceil(len(index) / batch_size) // 10), MAX_VALIDATION_BATCHES)
    index = index[: batches * batch_size]
    totals: Terms = {}
    model.eval()
    for start in range(0, len(index), batch_size):
        x = dataset.batch(index[start : start + batch_size], device)  # [batch, channels, height, width]
        for name, term in model(x, None, step).items():
            totals[name] = totals.get(name, 0) + term * (len(x) / len(index))
    model.train()
    return totals


@dataclass
class Position:
    """Where a run stands."""

    epoch: int = 0  # epochs completed
    batch: int = 0  # batches done of the epoch under way
    step: int = 0  # number of the next step: steps done in all, unless --global-step moved it
    images: int = 0  # images trained on in all
    unreported: bool = False  # whether steps were done since the last validation

    as_dict = asdict

    def done(self, batches: int) -> int:
        """Steps done in all, with so many batches per epoch."""
        return self.epoch * batches + self.batch

    def advance(self, images: int) -> None:
        """One more step, on so many images."""
        self.step, self.batch, self.images, self.unreported = self.step + 1, self.batch + 1, self.images + images, True

    def end_epoch(self, batches: int) -> None:
        """The epoch of so many batches has been validated; it is over if all of them were done."""
        self.unreported = False
        if self.batch == batches:
            self.epoch, self.batch = self.epoch + 1, 0


def stream_seed(seed: int, stream: str, *index: int) -> int:
    """A seed for one of the run's independent streams (see STREAMS), at an index such as a step or an epoch."""
    return int(np.random.SeedSequence([seed, STREAMS[stream], *index]).generate_state(1, np.uint64)[0] >> 1)


def permutation(index: np.ndarray, seed: int, stream: str, *at: int) -> np.ndarray:
    """`index` in the random order of a stream. int64 `[n]` -> int64 `[n]`."""
    return np.random.default_rng(stream_seed(seed, stream, *at)).permutation(index)


def draw_noise(model, batch: int, seed: int, step: int, device: torch.device, part: slice = slice(None)) -> Terms:
    """The step's random numbers, drawn for the whole batch and cut to one part of it; scalars hold for all of it."""
    generator = torch.Generator().manual_seed(stream_seed(seed, "noise", step))
    noise = model.draw_noise(batch, generator)
    return {name: machine.send(value[part] if value.dim() else value, device) for name, value in noise.items()}


class Watch:
    """Finds the step at which a loss stopped being finite, without a look at the device every step."""

    def __init__(self):
        self.noted: list[tuple[int, Terms]] = []

    def note(self, step: int, terms: Terms) -> None:
        """Remember the terms of a step until the next check."""
        self.noted.append((step, terms))

    def check(self) -> None:
        """One look at all that was noted. Raises UserError naming the first bad step, and its term."""
        noted, self.noted = self.noted, []
        if not noted:
            return
        sums = torch.stack([torch.cat([term.flatten() for term in terms.values()]).sum() for _, terms in noted])
        if torch.isfinite(sums).all():
            return
        for step, terms in noted:
            if bad := [name for name, term in terms.items() if not torch.isfinite(term).all()]:
                name = next((name for name in bad if not name.endswith("loss")), bad[0])
                raise UserError(
                    f"the loss term {name!r} is not finite at step {step}; the last checkpoint is kept: "
                    "lower --learning-rate or the weight of that term"
                )


class Clock:
    """Images per second between two reports."""

    def __init__(self):
        self.restart()

    def restart(self) -> None:
        """Count from now."""
        self.images, self.start = 0, time.perf_counter()

    def lap(self) -> float:
        """Images per second since the last lap or restart."""
        rate = self.images / max(time.perf_counter() - self.start, 1e-9)
        self.restart()
        return rate
