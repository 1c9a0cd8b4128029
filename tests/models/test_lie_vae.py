"""Facts about the Lie group VAE that the reference values do not hold."""

from __future__ import annotations

import pytest
import torch

from models.lie_vae import LieGroupVAE


@pytest.fixture
def model() -> LieGroupVAE:
    """Two subgroups of 2x2 matrices and one of 3x3, with a basis far from zero."""
    torch.manual_seed(0)
    return LieGroupVAE(1, [4, 9, 4], [2, 1, 1], lie_alg_init_scale=0.5, forward_eg_prob=0.2)


def test_a_share_of_the_steps_decodes_the_features_of_the_encoder(model) -> None:
    generator = torch.Generator().manual_seed(0)
    for share in (0.0, 0.2, 1.0):
        model.forward_eg_prob = share
        decoded = [model.draw_noise(1, generator)["from_encoder_feats"].item() for _ in range(1000)]
        assert sum(decoded) / 1000 == pytest.approx(share, abs=0.05)


def test_the_distance_of_the_features_does_not_depend_on_which_are_decoded(model) -> None:
    x, noise = torch.rand(2, 1, 64, 64), model.draw_noise(2, torch.Generator())
    with torch.no_grad():
        terms = [model(x, {**noise, "from_encoder_feats": torch.tensor(flag)}, step=0) for flag in (False, True)]
        distance = model.encoder.prior_group(x) - model.decoder.group_feats(model.sample(*model.encode(x), noise))
    for found in terms:
        torch.testing.assert_close(found["group_feats_rec"], distance.square().sum() / 2)
    assert terms[0]["recon"] != terms[1]["recon"]


def test_penalties_without_weight_are_computed_in_evaluation_alone(model) -> None:
    model.hy_hes = model.hy_commute = 0.0
    x, noise = torch.rand(1, 1, 64, 64), model.draw_noise(1, torch.Generator())
    with torch.no_grad():
        training, evaluation = (model(x, drawn, step=0).keys() & {"hessian", "commutator"} for drawn in (noise, None))
    assert not training and evaluation == {"hessian", "commutator"}


def test_reconstructions_are_those_of_the_mean_code_and_of_the_features_of_the_encoder(model) -> None:
    x = torch.rand(2, 1, 64, 64)
    found = model.reconstructions(x)
    torch.testing.assert_close(found["latent"], model.image(model.mean_code(x)))
    with torch.no_grad():
        direct = torch.sigmoid(model.decoder.post_exp(model.encoder.prior_group(x)))
    torch.testing.assert_close(found["encoder_feats"], direct)


def test_moves_multiply_the_group_element_from_the_left_one_after_the_other(model) -> None:
    z, *moves = torch.randn(3, 2, 4)
    elements = [b @ a @ g for g, a, b in zip(*map(model.decoder.exp, (z, *moves)), strict=True)]
    with torch.no_grad():
        expected = model.decoder.post_exp(torch.cat([element.flatten(1) for element in elements], dim=1))
        torch.testing.assert_close(model.act(z, moves), expected)


def test_without_the_exponential_there_is_no_group_and_moves_are_added() -> None:
    model = LieGroupVAE(1, [4], [2], no_exp=True)
    z, a, b = torch.randn(3, 1, 2)
    assert model.group_elements(z) == []
    with torch.no_grad():
        torch.testing.assert_close(model.act(z, [a, b]), model.decode(z + a + b))


def test_each_subgroup_has_the_exponential_of_its_own_basis(model) -> None:
    z = torch.randn(3, 4)
    bases = [basis.detach() for basis in model.decoder.lie_alg_basis_ls]  # four, of 2, 2, 3, 2 rows
    first = z[:, 0, None, None] * bases[0] + z[:, 1, None, None] * bases[1]
    exact = [torch.matrix_exp(a) for a in (first, z[:, 2, None, None] * bases[2], z[:, 3, None, None] * bases[3])]
    for element, expected in zip(model.group_elements(z), exact, strict=True):
        assert not element.requires_grad
        torch.testing.assert_close(element.detach(), expected)
