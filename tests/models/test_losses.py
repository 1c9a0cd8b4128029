"""The loss terms that models share: against textbook computations, and their gradients against finite differences."""

from __future__ import annotations

import math

import pytest
import torch

from models.penalties import capacity_at, dip_terms
from models.vae import gaussian_kl, reconstruction_loss


@pytest.fixture
def codes() -> tuple[torch.Tensor, torch.Tensor]:
    """`mu, logvar`, each `[7, 3]`, float64."""
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.randn(7, 3, generator=generator, dtype=torch.float64) for _ in range(2))


def test_kl_is_that_of_two_normal_distributions(codes) -> None:
    mu, logvar = codes
    posterior = torch.distributions.Normal(mu, torch.exp(logvar / 2))
    prior = torch.distributions.Normal(torch.zeros_like(mu), torch.ones_like(mu))
    exact = torch.distributions.kl_divergence(posterior, prior).mean(dim=0)  # [latents]
    torch.testing.assert_close(gaussian_kl(mu, logvar), exact)


def test_reconstruction_losses_on_one_pixel() -> None:
    logit, x = torch.tensor([[[[0.7]]]]), torch.tensor([[[[1.0]]]])
    probability = 1 / (1 + math.exp(-0.7))
    assert reconstruction_loss(logit, x, "bce").item() == pytest.approx(-math.log(probability))
    assert reconstruction_loss(logit, x, "l2").item() == pytest.approx((1 - probability) ** 2)
    with pytest.raises(ValueError, match="l1"):
        reconstruction_loss(logit, x, "l1")


def test_reconstruction_loss_is_a_sum_over_pixels_and_a_mean_over_images() -> None:
    logits, x = torch.randn(3, 2, 4, 4), torch.rand(3, 2, 4, 4)
    for kind in ("bce", "l2"):
        one_by_one = [reconstruction_loss(logits[i : i + 1], x[i : i + 1], kind) for i in range(3)]
        torch.testing.assert_close(reconstruction_loss(logits, x, kind), torch.stack(one_by_one).mean())


@pytest.mark.parametrize(("step", "nats"), [(0, 0.0), (250, 6.25), (1000, 25.0), (5000, 25.0)])
def test_capacity_rises_linearly_and_stays(step: int, nats: float) -> None:
    assert capacity_at(step, 25.0, 1000) == nats
    on_device = capacity_at(torch.tensor(step), 25.0, 1000)  # a step that is not read from there
    assert on_device.dtype == torch.float32 and on_device == nats


@pytest.mark.parametrize("dip_type", ["i", "ii"])
def test_dip_terms_measure_the_covariance(codes, dip_type: str) -> None:
    mu, logvar = codes
    covariance = torch.cov(mu.T, correction=0)  # [latents, latents]
    if dip_type == "ii":
        covariance = covariance + torch.diag(logvar.exp().mean(dim=0))
    off_diagonal, diagonal = dip_terms(mu, logvar, dip_type)
    distance = (covariance - torch.eye(3, dtype=torch.float64)).square()  # [latents, latents]
    torch.testing.assert_close(diagonal, distance.diagonal().sum())
    torch.testing.assert_close(off_diagonal, distance.sum() - distance.diagonal().sum())


def test_dip_terms_vanish_for_white_codes() -> None:
    corners = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 3)  # [8, 3]: uncorrelated, of variance 1
    assert [term.item() for term in dip_terms(corners, torch.zeros_like(corners), "i")] == [0, 0]
    with pytest.raises(ValueError, match="iii"):
        dip_terms(corners, corners, "iii")


def test_gradients_are_those_of_finite_differences(codes) -> None:
    inputs = [values.clone().requires_grad_() for values in codes]
    assert torch.autograd.gradcheck(gaussian_kl, inputs)
    for dip_type in ("i", "ii"):
        assert torch.autograd.gradcheck(lambda mu, logvar, kind=dip_type: dip_terms(mu, logvar, kind), inputs)
