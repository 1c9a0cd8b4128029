"""Starting a model from another one's encoder and decoder."""

from __future__ import annotations

import torch

from models.base_weights import layers, take_base_weights
from models.lie_vae import LieGroupVAE
from models.vae import VAE


def fresh(model: VAE, taken: list[str]) -> list[str]:
    return [layer for layer in layers(model.state_dict()) if layer not in taken]


def test_the_same_networks_are_taken_whole() -> None:
    base, model = VAE(1, 10), VAE(1, 10, hy_dip=1.0)
    taken = take_base_weights(model, base.state_dict(), base.trunk)
    assert not fresh(model, taken)
    for name, value in base.state_dict().items():
        assert torch.equal(model.state_dict()[name], value)


def test_the_lie_group_vae_starts_from_a_beta_vae() -> None:
    base, model = VAE(3, 10), LieGroupVAE(3, [16], [10])
    taken = take_base_weights(model, base.state_dict(), base.trunk)
    assert "encoder.prior_group.9" in taken
    assert len(taken) == len(layers(base.state_dict())) - 2
    assert torch.equal(model.encoder.prior_group[0].weight, base.encoder[0].weight)
    assert torch.equal(model.decoder.post_exp[11].bias, base.decoder[11].bias)
    assert {"encoder.prior_group.11", "decoder.lie_alg_basis_ls", "decoder.post_exp.0"} <= set(fresh(model, taken))


def test_a_beta_vae_starts_from_the_lie_group_vae() -> None:
    base, model = LieGroupVAE(1, [16], [10]), VAE(1, 10)
    taken = take_base_weights(model, base.state_dict(), base.trunk)
    assert fresh(model, taken) == ["encoder.11", "decoder.0"]
    assert torch.equal(model.encoder[6].weight, base.encoder.prior_group[6].weight)


def test_the_basis_and_the_heads_go_from_group_model_to_group_model() -> None:
    base, model = LieGroupVAE(1, [16], [10]), LieGroupVAE(1, [16], [10], no_exp=True)
    taken = take_base_weights(model, base.state_dict(), base.trunk)
    assert fresh(model, taken) == ["decoder.fake_exp.0", "decoder.fake_exp.2"]


def test_a_layer_is_taken_whole_or_not_at_all() -> None:
    """Of the first convolution for three channels, the bias would fit one for one channel."""
    base, model = VAE(3, 10), VAE(1, 10)
    before = model.encoder[0].bias.clone()
    taken = take_base_weights(model, base.state_dict(), base.trunk)
    assert fresh(model, taken) == ["encoder.0", "decoder.11"]
    assert torch.equal(model.encoder[0].bias, before)


def test_nothing_of_a_fully_connected_model_fits_a_convolutional_one() -> None:
    base = VAE(1, 10, networks="mlp")
    assert take_base_weights(VAE(1, 10), base.state_dict(), base.trunk) == []
