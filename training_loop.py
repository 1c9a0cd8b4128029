"""The parts of the training loop, for any model and any data set: position, noise, one update, validation.

No random generator is kept: the order of an epoch is drawn from (seed, epoch), the noise of a step from (seed, step).
The position, the weights and the optimisers are therefore enough to resume a run bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch

from system.device import send
from system.errors import UserError
from system.randomness import permutation, stream_seed

REPORT_EVERY = 20  # steps; reading the loss waits for the device
MAX_VALIDATION_BATCHES = 50

Terms = dict[str, torch.Tensor]


class Position:
    """The position of a run in its training.

    Args:
        n: number of training images.
        max_steps: None: as many as all epochs have.
    """

    def __init__(self, n: int, batch_size: int, epochs: int, max_steps: int | None = None):
        self.n, self.batch_size = n, batch_size
        self.steps_per_epoch = math.ceil(n / batch_size)
        self.total_steps = epochs * self.steps_per_epoch
        if max_steps is not None:
            self.total_steps = min(self.total_steps, max_steps)
        self.epoch = 0  # epochs completed
        self.batch = 0  # batches done in the current epoch
        self.step = 0  # total steps done, or as --global-step renumbered them
        self.images = 0  # total images trained on
        self.unreported = False  # whether there were steps since the last validation

    def as_dict(self) -> dict:
        """The `progress` of a checkpoint."""
        return {name: getattr(self, name) for name in ("epoch", "batch", "step", "images", "unreported")}

    def restore(self, progress: dict) -> None:
        """Go to the position of a checkpoint. Raises UserError if it was of another number of images."""
        vars(self).update(progress)
        if self.images != self.epoch * self.n + min(self.batch * self.batch_size, self.n):
            raise UserError(
                f"there are {self.n:,} images to train on now, another number than when this run was started: "
                "restore --data-path, or start a new run"
            )

    @property
    def steps_done(self) -> int:
        """Steps done, of `total_steps`; `step` may be numbered otherwise."""
        return self.epoch * self.steps_per_epoch + self.batch

    @property
    def finished(self) -> bool:
        """Whether all steps are done, and the last ones validated."""
        return self.steps_done >= self.total_steps and not self.unreported

    @property
    def report_due(self) -> bool:
        """Whether to report the last step: every REPORT_EVERY steps, and the last one."""
        return self.steps_done % REPORT_EVERY == 0 or self.steps_done == self.total_steps

    @property
    def epoch_ends(self) -> bool:
        """Whether the last step was the last one of its epoch, or of the run."""
        return self.batch == self.steps_per_epoch or self.steps_done == self.total_steps

    def batches(self, index: np.ndarray, seed: int, shuffle: bool) -> Iterator[np.ndarray]:
        """The remaining batches of this epoch, int64 `[batch]` each; `index`: the training images, int64 `[n]`."""
        order = permutation(index, seed, "order", self.epoch) if shuffle else index
        for start in range(self.batch * self.batch_size, self.n, self.batch_size):
            if self.steps_done >= self.total_steps:  # it may have been lowered since the checkpoint
                return
            yield order[start : start + self.batch_size]

    def advance(self, images: int) -> None:
        """Count one step on this many images."""
        self.step += 1
        self.batch += 1
        self.images += images
        self.unreported = True

    def end_epoch(self) -> None:
        """Note a validation; go to the next epoch if all batches of this one are done."""
        self.unreported = False
        if self.batch == self.steps_per_epoch:
            self.epoch, self.batch = self.epoch + 1, 0


def draw_noise(
    model, batch: int, seed: int, step: int, device: torch.device, part: slice = slice(None)
) -> dict[str, torch.Tensor]:
    """`model.draw_noise` of one step on the device: drawn for the whole batch, then sliced to `part` of it."""
    generator = torch.Generator().manual_seed(stream_seed(seed, "noise", step))
    noise = model.draw_noise(batch, generator)
    return {name: send(value[part] if value.dim() else value, device) for name, value in noise.items()}


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
