"""The training loop, for any model and any data set.

No random generator is kept: the order of an epoch is drawn from (seed, epoch), the noise of a step from (seed, step).
The position, the weights and the optimisers are therefore enough to resume a run bit for bit.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np
import torch

from system.device import send
from system.errors import UserError
from system.randomness import stream_seed

MAX_VALIDATION_BATCHES = 50

Terms = dict[str, torch.Tensor]


def train(run) -> None:
    """Train `run` (a `trainer.Run`, or an object with its methods) from its position to the end.

    Raises:
        UserError: the loss is not finite; the message names the term and the step.
        Interrupted: a signal stopped the run, after a checkpoint.
    """
    unchecked: list[tuple[int, Terms]] = []  # step and terms
    while not run.finished:
        for index in run.rest_of_epoch():  # int64 [batch]
            terms = run.step(index)  # one update; does not wait for the device
            unchecked.append((run.position.step, terms))
            if run.report_due:  # not every step, because reading the loss waits for the device
                check_finite(unchecked)
                run.report(terms, len(index))
            if run.agree_to_save():  # communicates between the processes
                check_finite(unchecked)
                run.save()  # raises Interrupted if a signal asked for it
        check_finite(unchecked)
        run.end_epoch()  # validate, draw, score, save


def train_step(
    model: torch.nn.Module,
    optimisers: dict[str, torch.optim.Optimizer],
    x: torch.Tensor,
    noise: dict[str, torch.Tensor],
    step: int,
    weight: float = 1.0,
) -> Terms:
    """One update for each objective, in order. Does not wait for the device.

    Args:
        optimisers: objective -> its optimiser, see `VAE.make_optimisers`.
        x: images `[batch, channels, height, width]`.
        noise: the result of `draw_noise`.
        step: training steps done so far, for schedules.
        weight: multiplies the gradients, see `system.processes.Group.weight`.
    Returns:
        The detached loss terms. Terms of the second and later objectives are named `<objective>_<term>`.
    """
    reported: Terms = {}
    if not model.training:  # whatever looked at it since the last step had it in evaluation mode
        model.train()
    for objective, optimiser in optimisers.items():
        terms = model(x, noise, step, objective)
        optimiser.zero_grad(set_to_none=True)
        (terms["loss"] if weight == 1 else terms["loss"] * weight).backward()
        optimiser.step()
        prefix = f"{objective}_" if reported else ""
        # Clones, since a compiled model on a GPU writes its next terms into the same memory.
        reported |= {prefix + name: term.detach().clone() for name, term in terms.items()}
    return reported


@torch.no_grad()
def validate(model, dataset, index: np.ndarray, batch_size: int, step: int, device: torch.device) -> Terms:
    """Mean loss terms in evaluation mode (z = mu), on the first tenth of the batches of `index`, at most 50.

    Raises UserError if one is not finite.
    """
    batches = min(max(1, math.ceil(len(index) / batch_size) // 10), MAX_VALIDATION_BATCHES)
    index = index[: batches * batch_size]
    totals: Terms = {}
    model.eval()
    for start in range(0, len(index), batch_size):
        x = dataset.batch(index[start : start + batch_size], device)  # [batch, channels, height, width]
        for name, term in model(x, None, step).items():
            totals[name] = totals.get(name, 0) + term * (len(x) / len(index))
    check_finite([(step, totals)])
    return totals


@dataclass
class Position:
    """The position of a run in its training; the `progress` of a checkpoint."""

    epoch: int = 0  # epochs completed
    batch: int = 0  # batches done in the current epoch
    step: int = 0  # total steps done, or as --global-step renumbered them
    images: int = 0  # total images trained on
    unreported: bool = False  # whether there were steps since the last validation

    as_dict = asdict

    def advance(self, images: int) -> None:
        """Count one step on this many images."""
        self.step += 1
        self.batch += 1
        self.images += images
        self.unreported = True

    def end_epoch(self, steps_per_epoch: int) -> None:
        """Note a validation; go to the next epoch if all batches of this one are done."""
        self.unreported = False
        if self.batch == steps_per_epoch:
            self.epoch, self.batch = self.epoch + 1, 0


def draw_noise(
    model, batch: int, seed: int, step: int, device: torch.device, part: slice = slice(None)
) -> dict[str, torch.Tensor]:
    """`model.draw_noise` of one step on the device: drawn for the whole batch, then sliced to `part` of it."""
    generator = torch.Generator().manual_seed(stream_seed(seed, "noise", step))
    noise = model.draw_noise(batch, generator)
    return {name: send(value[part] if value.dim() else value, device) for name, value in noise.items()}


def check_finite(unchecked: list[tuple[int, Terms]]) -> None:
    """Check the terms of these steps, waiting for the device once, and empty the list.

    Raises UserError naming the first step with a term that is not finite, and the term.
    """
    sums = [torch.cat([term.flatten() for term in terms.values()]).sum() for _, terms in unchecked]  # each []
    if sums and not torch.isfinite(torch.stack(sums)).all():
        for step, terms in unchecked:
            if bad := [name for name, term in terms.items() if not torch.isfinite(term).all()]:
                name = next((name for name in bad if not name.endswith("loss")), bad[0])
                raise UserError(
                    f"the loss term {name!r} is not finite at step {step}; the last checkpoint is kept: "
                    "lower --learning-rate or the weight of that term"
                )
    unchecked.clear()
