"""Epochs and steps, for any model and any data set.

Nothing random has a state: the order of an epoch follows from (seed, epoch), the noise of a step from (seed, step). A
run is continued to the bit from its position, the weights and the optimisers.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np
import torch
from tqdm import tqdm

from system import machine
from system.errors import UserError
from system.processes import Group

REPORT_EVERY = 20  # steps between two looks at the loss: each look waits for the device
MAX_VALIDATION_BATCHES = 50
STREAMS = {"order": 0, "noise": 1, "split": 2, "validation": 3, "pictures": 4}


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
        """Steps done in all, with so many batches an epoch."""
        return self.epoch * batches + self.batch


class Hooks(Protocol):
    """What the loop reports to."""

    def on_report(self, position: Position, terms: dict[str, torch.Tensor], images_per_second: float) -> None: ...

    def wants_checkpoint(self, position: Position, epoch_ends: bool) -> bool: ...

    def on_checkpoint(self, position: Position) -> None: ...

    def on_epoch(self, position: Position, validation: dict[str, torch.Tensor]) -> None: ...


def stream_seed(seed: int, stream: str, *index: int) -> int:
    """A seed for one of the run's independent streams (see STREAMS), at an index such as a step or an epoch."""
    return int(np.random.SeedSequence([seed, STREAMS[stream], *index]).generate_state(1, np.uint64)[0] >> 1)


def permutation(index: np.ndarray, seed: int, stream: str, *at: int) -> np.ndarray:
    """`index` in the random order of a stream. int64 `[n]` -> int64 `[n]`."""
    return np.random.default_rng(stream_seed(seed, stream, *at)).permutation(index)


def planned_steps(images: int, batch_size: int, epochs: int, max_steps: int | None) -> int:
    """Steps that a whole run takes."""
    steps = epochs * math.ceil(images / batch_size)
    return steps if max_steps is None else min(steps, max_steps)


def train_step(
    model: torch.nn.Module,
    optimisers: dict[str, torch.optim.Optimizer],
    x: torch.Tensor,
    noise: dict[str, torch.Tensor],
    step: int,
    weight: float = 1.0,
) -> dict[str, torch.Tensor]:
    """One update of every objective, in order. Returns the detached loss terms; no wait for the device.

    `weight` multiplies the gradients: the share of a part of the batch, see `system.processes`.
    The first objective's terms keep their names; those of another one, `o`, become `o_<term>`.
    """
    reported: dict[str, torch.Tensor] = {}
    for objective, optimiser in optimisers.items():
        terms = model(x, noise, step, objective)
        optimiser.zero_grad(set_to_none=True)
        (terms["loss"] if weight == 1 else terms["loss"] * weight).backward()
        optimiser.step()
        prefix = f"{objective}_" if reported else ""
        reported |= {prefix + name: term.detach() for name, term in terms.items()}
    return reported


def train(
    model: torch.nn.Module,
    step: Callable[..., dict[str, torch.Tensor]],
    dataset,
    train_index: np.ndarray,
    validation_index: np.ndarray,
    hooks: Hooks,
    position: Position,
    *,
    seed: int,
    epochs: int,
    max_steps: int | None,
    batch_size: int,
    shuffle: bool,
    device: torch.device,
    show_bar: bool,
    group: Group,
) -> None:
    """Train from `position` (updated in place) to the last epoch or `max_steps`, whichever comes first.

    Args:
        model: what is validated; `step` trains it.
        step: makes one update of `x, noise, step, weight` and returns the terms: `train_step` with its model and
            optimisers, or what stands for it.
        dataset: has `batch(index, device) -> [n, channels, height, width]`.
        train_index, validation_index: int64, indices of images.
        hooks: told of the loss every REPORT_EVERY steps and of the validation after every epoch, also a cut one; asked
            after every step whether it wants to write a checkpoint. Training goes on to the bit from any `position`
            that it was shown there, or after `on_epoch`.
        group: the processes that share every batch; the leading one alone validates.
    Raises:
        UserError: the loss is not finite; the message names the term and the step.
    """
    batches = math.ceil(len(train_index) / batch_size)
    total = planned_steps(len(train_index), batch_size, epochs, max_steps)
    done = position.done(batches)  # steps
    clock, watch = _Clock(), _Watch()
    with tqdm(
        total=total * batch_size,
        initial=done * batch_size,
        unit=" images",
        unit_scale=True,
        smoothing=0.1,
        disable=not show_bar,
    ) as bar:
        while done < total or position.unreported:
            order = permutation(train_index, seed, "order", position.epoch) if shuffle else train_index
            for start in range(position.batch * batch_size, len(order), batch_size):
                if done == total:
                    break
                index = order[start : start + batch_size]  # [batch]
                part, weight = group.part(len(index)), group.weight(len(index))
                x = dataset.batch(index[part], device)  # [batch, channels, height, width]
                noise = _noise(model, len(index), seed, position.step, device, part)
                terms = step(x, noise, position.step, weight)
                position.step += 1
                position.images += len(index)
                position.batch += 1
                position.unreported = True
                done += 1
                clock.images += len(index)
                watch.note(position.step, terms)
                if done % REPORT_EVERY == 0 or done == total:
                    terms = group.mean(terms, weight)
                    watch.check()
                    bar.update(done * batch_size - bar.n)
                    bar.set_postfix_str(f"epoch {position.epoch + 1}/{epochs} loss {terms['loss']:.2f}", refresh=False)
                    hooks.on_report(position, terms, clock.lap())
                if hooks.wants_checkpoint(position, position.batch == batches or done == total):
                    watch.check()
                    hooks.on_checkpoint(position)
            watch.check()
            subset = permutation(validation_index if len(validation_index) else train_index, seed, "validation")
            validation = validate(model, dataset, subset, batch_size, position.step, device) if group.leads else {}
            if position.batch == batches:
                position.epoch, position.batch = position.epoch + 1, 0
            position.unreported = False
            hooks.on_epoch(position, validation)
            clock.restart()


@torch.no_grad()
def validate(model, dataset, index: np.ndarray, batch_size: int, step: int, device) -> dict[str, torch.Tensor]:
    """Loss terms in evaluation mode (z = mu), averaged over at most a tenth of the batches of `index`, at most 50."""
    batches = min(max(1, math.ceil(len(index) / batch_size) // 10), MAX_VALIDATION_BATCHES)
    index = index[: batches * batch_size]
    totals: dict[str, torch.Tensor] = {}
    model.eval()
    for start in range(0, len(index), batch_size):
        x = dataset.batch(index[start : start + batch_size], device)  # [batch, channels, height, width]
        for name, term in model(x, None, step).items():
            totals[name] = totals.get(name, 0) + term * (len(x) / len(index))
    model.train()
    return totals


def _noise(
    model, batch: int, seed: int, step: int, device: torch.device, part: slice = slice(None)
) -> dict[str, torch.Tensor]:
    """The step's random numbers, drawn for the whole batch and cut to one part of it; scalars hold for all of it."""
    generator = torch.Generator().manual_seed(stream_seed(seed, "noise", step))
    noise = model.draw_noise(batch, generator)
    return {name: machine.send(value[part] if value.dim() else value, device) for name, value in noise.items()}


class _Watch:
    """Finds the step at which a loss stopped being finite, without a look at the device every step."""

    def __init__(self):
        self.noted: list[tuple[int, dict[str, torch.Tensor]]] = []

    def note(self, step: int, terms: dict[str, torch.Tensor]) -> None:
        """Remember the terms of a step until the next check."""
        self.noted.append((step, terms))

    def check(self) -> None:
        """One look at all that was noted. Raises UserError naming the first bad step, and its term."""
        noted, self.noted = self.noted, []
        if not noted:
            return
        sums = torch.stack([sum(term.sum() for term in terms.values()) for _, terms in noted])  # [steps]
        if torch.isfinite(sums).all():
            return
        for step, terms in noted:
            if bad := [name for name, term in terms.items() if not torch.isfinite(term).all()]:
                name = next((name for name in bad if not name.endswith("loss")), bad[0])
                raise UserError(
                    f"the loss term {name!r} is not finite at step {step}; the last checkpoint is kept: "
                    "lower --learning-rate or the weight of that term"
                )


class _Clock:
    """Images a second between two reports."""

    def __init__(self):
        self.restart()

    def restart(self) -> None:
        self.images, self.start = 0, time.perf_counter()

    def lap(self) -> float:
        rate = self.images / max(time.perf_counter() - self.start, 1e-9)
        self.restart()
        return rate
