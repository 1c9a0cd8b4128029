"""The parts of the loop: what a validation averages, what a step draws and updates, where a run stands."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from system.errors import UserError
from training_loop import Position, check_finite, draw_noise, train_step, validate

CPU = torch.device("cpu")


class Numbers:
    """A data set whose images are their own numbers, which notes the batches asked for."""

    def __init__(self):
        self.batches: list[list[int]] = []

    def batch(self, index, device):
        self.batches.append(list(index))
        return torch.as_tensor(index, device=device).float().view(-1, 1, 1, 1)


class Line(torch.nn.Module):
    """`loss` is the mean of `slope x + eps`; the second objective pulls on another weight."""

    def __init__(self):
        super().__init__()
        self.slope, self.other = torch.nn.Parameter(torch.tensor(2.0)), torch.nn.Parameter(torch.tensor(1.0))
        self.modes: list[bool] = []

    def forward(self, x, noise, step, objective="vae"):
        self.modes.append(self.training)
        if objective == "second":
            return {"loss": self.other * self.slope.detach()}
        eps = 0.0 if noise is None else noise["eps"]
        return {"loss": (self.slope * x.flatten() + eps).mean(), "per_latent": torch.stack([x.mean(), -x.mean()])}

    def draw_noise(self, batch, generator):
        return {"eps": torch.randn(batch, generator=generator), "coin": torch.rand((), generator=generator)}


def test_validation_is_the_mean_over_images_in_evaluation_mode_whatever_the_batches():
    model, index = Line(), np.array([7, 1, 4, 4, 100])
    terms = validate(model, Numbers(), index[:4], 4, 0, CPU)
    assert terms["loss"] == 8 and terms["per_latent"].tolist() == [4, -4]
    assert not any(model.modes)
    uneven = validate(model, Numbers(), np.arange(95 * 3 + 1) % 5, 3, 0, CPU)  # 96 batches: the first nine
    assert uneven["loss"].item() == pytest.approx(2 * np.mean(np.arange(27) % 5))
    short = validate(model, Numbers(), np.array([1, 2]), 8, 0, CPU)  # one batch that is not full
    assert short["loss"] == 3


@pytest.mark.parametrize(("batches", "used"), [(1, 1), (19, 1), (20, 2), (499, 49), (3000, 50)])
def test_validation_takes_the_first_tenth_of_the_batches_and_at_most_fifty(batches, used):
    dataset = Numbers()
    validate(Line(), dataset, np.arange(2 * batches - 1), 2, 0, CPU)
    assert [n for batch in dataset.batches for n in batch] == list(range(min(2 * used, 2 * batches - 1)))


def test_a_step_updates_each_objective_in_order_and_reports_numbers_without_a_graph():
    model, x = Line().eval(), torch.full((2, 1, 1, 1), 3.0)
    optimisers = {"vae": torch.optim.SGD([model.slope], lr=0.1), "second": torch.optim.SGD([model.other], lr=0.1)}
    terms = train_step(model, optimisers, x, {"eps": torch.zeros(2)}, 0, weight=0.5)
    assert model.slope.item() == pytest.approx(2 - 0.1 * 0.5 * 3)  # the weight is one of gradients
    assert model.other.item() == pytest.approx(1 - 0.1 * 0.5 * 1.85)  # of the slope as updated
    assert terms["loss"] == 6 and terms["second_loss"].item() == pytest.approx(1.85)
    assert list(terms) == ["loss", "per_latent", "second_loss"]
    assert not any(term.requires_grad for term in terms.values())
    assert all(model.modes)  # in training mode
    train_step(model, optimisers, x, {"eps": torch.zeros(2)}, 1, weight=0)
    assert model.slope.item() == pytest.approx(1.85)  # no gradient of the step before is left


def test_the_noise_of_a_part_is_that_part_of_the_noise_of_the_batch():
    whole, part = (draw_noise(Line(), 6, 3, 8, CPU, where) for where in (slice(None), slice(2, 5)))
    assert torch.equal(part["eps"], whole["eps"][2:5]) and torch.equal(part["coin"], whole["coin"])
    for seed, step in ((4, 8), (3, 9)):
        assert not torch.equal(draw_noise(Line(), 6, seed, step, CPU)["eps"], whole["eps"])


def test_the_first_step_that_is_not_finite_is_named_with_its_term():
    steps = [(3, {"loss": torch.tensor(1.0), "kl": torch.tensor(2.0)})]
    check_finite(steps)
    assert steps == []
    for step, value in ((4, 2.0), (5, float("inf")), (6, float("nan"))):
        steps.append((step, {"loss": torch.tensor(value), "kl": torch.tensor([1.0, value])}))
    with pytest.raises(UserError, match="the loss term 'kl' is not finite at step 5;"):
        check_finite(steps)


def test_weights_that_the_last_step_of_an_epoch_spoilt_are_found_in_the_validation():
    model = Line()
    with torch.no_grad():
        model.slope.fill_(float("inf"))
    with pytest.raises(UserError, match="is not finite at step 7; the last checkpoint is kept"):
        validate(model, Numbers(), np.array([1, 2]), 8, 7, CPU)


def test_a_position_goes_to_the_next_epoch_when_all_its_batches_are_done():
    at = Position(20, 8, epochs=2)
    at.step = 100  # numbered by --global-step
    at.advance(8)
    at.advance(8)
    assert at.as_dict() == {"epoch": 0, "batch": 2, "step": 102, "images": 16, "unreported": True}
    at.end_epoch()  # a validation on the way
    assert (at.epoch, at.batch, at.unreported, at.epoch_ends) == (0, 2, False, False)
    at.advance(4)
    assert at.epoch_ends
    at.end_epoch()
    assert (at.epoch, at.batch, at.unreported, at.steps_done, at.finished) == (1, 0, False, 3, False)
    again = Position(20, 8, epochs=2)
    again.restore(at.as_dict())
    assert vars(again) == vars(at)
    with pytest.raises(UserError, match="there are 21 images to train on now, another number"):
        Position(21, 8, epochs=2).restore(at.as_dict())


def test_batches_go_on_where_a_checkpoint_was_and_end_with_the_last_step():
    at, index = Position(20, 8, epochs=2, max_steps=2), np.arange(20)
    whole = [batch.tolist() for batch in Position(20, 8, epochs=1).batches(index, 3, True)]
    assert sorted(sum(whole, [])) == list(range(20)) and [len(batch) for batch in whole] == [8, 8, 4]
    at.advance(8)
    for batch in at.batches(index, 3, True):
        assert batch.tolist() == whole[1]
        at.advance(len(batch))
    assert at.steps_done == at.total_steps == 2 and at.report_due
    assert [batch.tolist() for batch in Position(20, 8, epochs=1).batches(index, 3, False)][0] == list(range(8))
