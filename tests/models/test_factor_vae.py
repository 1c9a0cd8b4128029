"""FactorVAE's second objective: what it trains, on what, and that it continues with the run."""

from __future__ import annotations

import pytest
import torch

from models.tc_vae import FactorVAE


@pytest.fixture
def model() -> FactorVAE:
    torch.manual_seed(0)
    return FactorVAE(1, 4, factor_vae_gamma=6.4, discriminator_width=32)


def noise_of(model: FactorVAE, batch: int, seed: int = 0) -> dict[str, torch.Tensor]:
    return model.draw_noise(batch, torch.Generator().manual_seed(seed))


def test_a_part_of_the_noise_permutes_a_part_of_the_batch(model) -> None:
    noise = {name: values[:3] for name, values in noise_of(model, 8).items()}
    terms = model(torch.rand(3, 1, 64, 64), noise, step=0, objective="discriminator")
    assert torch.isfinite(terms["loss"])


def test_each_objective_trains_its_own_networks(model) -> None:
    x, noise = torch.rand(4, 1, 64, 64), noise_of(model, 4)
    for objective, idle in (("vae", "discriminator"), ("discriminator", "encoder")):
        model.zero_grad()
        model(x, noise, step=0, objective=objective)["loss"].backward()
        assert all(p.grad is None for p in getattr(model, idle).parameters())
    assert all(p.grad is not None for p in model.discriminator.parameters())


def test_the_discriminator_has_the_settings_of_the_paper_and_the_networks_the_learning_rate(model) -> None:
    settings = {
        name: (o.param_groups[0]["lr"], o.param_groups[0]["betas"]) for name, o in model.make_optimisers(0.3).items()
    }
    assert settings == {"vae": (0.3, (0.9, 0.999)), "discriminator": (1e-4, (0.5, 0.9))}


def test_gradients_are_those_of_finite_differences(model) -> None:
    model.double()
    mu, logvar = (torch.randn(4, 4, dtype=torch.float64, requires_grad=True) for _ in range(2))

    def density_ratio_tc(mu: torch.Tensor, logvar: torch.Tensor) -> torch.Tensor:
        z = mu + torch.exp(logvar / 2) * 0.3
        return model.code_terms(mu, logvar, z, 0)["density_ratio_tc"]

    assert torch.autograd.gradcheck(density_ratio_tc, (mu, logvar))


def test_discriminator_learns_to_tell_correlated_codes_from_permuted_ones(model, monkeypatch) -> None:
    monkeypatch.setattr(
        model, "encode", lambda x: (x[:, 0, 0, :1].expand(-1, 4) * 4 - 2, torch.full((len(x), 4), -4.0))
    )
    optimiser = model.make_optimisers(1e-4)["discriminator"]
    optimiser.param_groups[0]["lr"] = 3e-3  # the layers are narrow, the steps few
    losses = []
    for step in range(150):
        x = torch.rand(64, 1, 1, 1, generator=torch.Generator().manual_seed(step))
        loss = model(x, noise_of(model, 64, seed=step), step, "discriminator")["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[0] > 0.6
    assert sum(losses[-10:]) / 10 < 0.3
    z = torch.linspace(-2, 2, 50)[:, None].expand(-1, 4)
    assert model.code_terms(z, torch.zeros_like(z), z, 0)["density_ratio_tc"] > 1  # nats, for equal latents


def test_reference_layout_has_no_discriminator(model) -> None:
    assert any(name.startswith("discriminator.") for name in model.state_dict())
    published = model.reference_state_dict()
    assert all(name.startswith(("encoder.", "decoder.")) for name in published)
    before = model.discriminator.net[0].weight.clone()
    model.load_reference_state_dict(published)
    assert torch.equal(model.discriminator.net[0].weight, before)
