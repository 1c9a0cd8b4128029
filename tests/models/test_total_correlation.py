"""The estimators of q(z) against exact values on small Gaussian mixtures, whose components stand for the images."""

from __future__ import annotations

from itertools import combinations, product

import pytest
import torch

from models.penalties import aggregate_log_densities, log_normal, total_correlation
from models.settings import SETTINGS
from models.tc_vae import BetaTCVAE
from models.vae import VAE

COMPONENTS, LATENTS = 6, 2
ESTIMATORS = SETTINGS["tc_estimator"].choices


@pytest.fixture
def mixture() -> tuple[torch.Tensor, torch.Tensor]:
    """`mu, logvar` of six components in the plane, along a diagonal: their total correlation is not small."""
    generator = torch.Generator().manual_seed(3)
    line = torch.linspace(-2, 2, COMPONENTS, dtype=torch.float64)[:, None]  # [6, 1]
    mu = line + 0.3 * torch.randn(COMPONENTS, LATENTS, generator=generator, dtype=torch.float64)
    logvar = -1.5 + 0.3 * torch.randn(COMPONENTS, LATENTS, generator=generator, dtype=torch.float64)
    return mu, logvar


def exact_log_densities(z: torch.Tensor, mu: torch.Tensor, logvar: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """`log q(z)` and `sum_j log q(z_j)` of the mixture itself, each `[n]`, summed component by component."""
    joint, marginals = 0, 0
    for m, s in zip(mu, logvar, strict=True):
        density = log_normal(z, m, s).exp()  # [n, latents]
        joint, marginals = joint + density.prod(dim=1) / len(mu), marginals + density / len(mu)
    return joint.log(), marginals.log().sum(dim=1)


def exact_total_correlation(mu: torch.Tensor, logvar: torch.Tensor) -> float:
    """`KL(q(z) || q(z_1) q(z_2))` by quadrature over the plane."""
    axis = torch.linspace(-7, 7, 561, dtype=torch.float64)
    z = torch.cartesian_prod(axis, axis)  # [n, 2]
    log_qz, log_qz_product = exact_log_densities(z, mu, logvar)
    cell = (axis[1] - axis[0]) ** 2
    assert abs((log_qz.exp().sum() * cell).item() - 1) < 1e-9
    return ((log_qz.exp() * (log_qz - log_qz_product)).sum() * cell).item()


def test_stratified_is_exact_when_the_batch_is_the_whole_set(mixture) -> None:
    mu, logvar = mixture
    z = mu + torch.exp(logvar / 2) * torch.randn_like(mu)
    for images in (COMPONENTS, None, 2):  # a batch of held-out images may be larger than the training set
        estimates = aggregate_log_densities(z, mu, logvar, images, "stratified")
        for estimate, exact in zip(estimates, exact_log_densities(z, mu, logvar), strict=True):
            torch.testing.assert_close(estimate, exact, rtol=1e-12, atol=1e-12)


def test_stratified_is_unbiased_over_all_batches(mixture) -> None:
    """Mean over every batch of three that holds image 0 of the estimate of q(z_0): q(z_0)."""
    mu, logvar = mixture
    z = mu + 0.4
    estimates = []
    for others in combinations(range(1, COMPONENTS), 2):
        batch = [0, *others]
        log_qz, _ = aggregate_log_densities(z[batch], mu[batch], logvar[batch], COMPONENTS, "stratified")
        estimates.append(log_qz[0].exp())
    exact, _ = exact_log_densities(z[:1], mu, logvar)
    torch.testing.assert_close(torch.stack(estimates).mean(), exact[0].exp(), rtol=1e-12, atol=0)


def test_weighted_has_the_expectation_of_its_equation(mixture) -> None:
    """Over batches of three, drawn with replacement beside image 0: `(q(z|x_0) + 2 q(z)) / (3 N)` with N images."""
    mu, logvar = mixture
    z = mu + 0.4
    estimates = []
    for others in product(range(COMPONENTS), repeat=2):
        batch = [0, *others]
        log_qz, _ = aggregate_log_densities(z[batch], mu[batch], logvar[batch], COMPONENTS, "weighted")
        estimates.append(log_qz[0].exp())
    exact, _ = exact_log_densities(z[:1], mu, logvar)
    own = log_normal(z[0], mu[0], logvar[0]).sum().exp()
    # q(z) N is the sum over images: the estimate of the paper is q(z|x_0) and twice the mean density, over N * 3.
    expected = (own + 2 * exact[0].exp()) / (3 * COMPONENTS)
    torch.testing.assert_close(torch.stack(estimates).mean(), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_total_correlation_of_many_samples_is_the_exact_one(mixture, estimator: str) -> None:
    """400 codes of each component, the batch all codes: both estimators come close, `weighted` up to its constant."""
    mu, logvar = (values.repeat_interleave(200, dim=0) for values in mixture)  # [1200, 2] each
    eps = torch.randn(mu.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    z = mu + torch.exp(logvar / 2) * eps
    estimate = total_correlation(z, mu, logvar, len(z), estimator)
    if estimator == "weighted":
        estimate = estimate - (LATENTS - 1) * torch.log(torch.tensor(float(len(z))))
    assert abs(estimate.item() - exact_total_correlation(*mixture)) < 0.05


def test_images_shift_the_weighted_estimate_and_no_gradient(mixture) -> None:
    mu, logvar = (values.clone().requires_grad_() for values in mixture)
    results = []
    for images in (10, 1000):
        value = total_correlation(mu + 0.2, mu, logvar, images, "weighted")
        results.append((value.item(), *torch.autograd.grad(value, (mu, logvar))))
    shift = (LATENTS - 1) * torch.log(torch.tensor(100.0)).item()
    assert abs(results[1][0] - results[0][0] - shift) < 1e-6
    torch.testing.assert_close(results[0][1], results[1][1])
    torch.testing.assert_close(results[0][2], results[1][2])


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_gradients_are_those_of_finite_differences(mixture, estimator: str) -> None:
    inputs = [values.clone().requires_grad_() for values in (mixture[0] + 0.3, *mixture)]
    assert torch.autograd.gradcheck(lambda *codes: total_correlation(*codes, 50, estimator), inputs)


def test_an_unknown_estimator_is_refused(mixture) -> None:
    with pytest.raises(ValueError, match="weighted"):
        total_correlation(mixture[0], *mixture, 50, "exact")


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_three_terms_of_beta_tcvae_make_up_the_kl_of_the_sampled_codes(mixture, estimator: str) -> None:
    mu, logvar = mixture
    z = mu + 0.4
    model = BetaTCVAE(1, LATENTS, networks=None, tc_estimator=estimator)
    model.training_images = 50
    terms = model.code_terms(mu, logvar, z, 0)
    plain = VAE(1, LATENTS, networks=None, hy_tc=1.0, tc_estimator=estimator)  # has the same penalty
    plain.training_images = 50
    torch.testing.assert_close(plain.code_terms(mu, logvar, z, 0)["total_correlation"], terms["total_correlation"])
    log_qz, log_qz_product = aggregate_log_densities(z, mu, logvar, 50, estimator)
    prior = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(dim=1)  # [6]
    posterior = torch.distributions.Normal(mu, torch.exp(logvar / 2)).log_prob(z).sum(dim=1)  # [6]
    torch.testing.assert_close(terms["mutual_information"], (posterior - log_qz).mean())
    torch.testing.assert_close(terms["total_correlation"], total_correlation(z, mu, logvar, 50, estimator))
    torch.testing.assert_close(terms["dimension_kl"], (log_qz_product - prior).mean())
