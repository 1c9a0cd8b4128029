"""What the base class of the models says of itself."""

from __future__ import annotations

import math

import pytest
import torch

from main import build_parser
from models import build_model
from models.lie_vae import LieGroupVAE
from models.vae import VAE


def linear(**settings) -> VAE:
    """A model of three latents without an encoder, whose decoder is linear."""
    model = VAE(1, 3, networks=None, **settings)
    model.decoder = torch.nn.Linear(3, 5)
    return model


def test_the_weights_of_the_dip_penalty_are_products() -> None:
    weights = linear(hy_dip=0.5, lambda_d=3.0, lambda_od=4.0).loss_weights()
    assert (weights["dip_diagonal"], weights["dip_off_diagonal"]) == (1.5, 2.0)


def test_the_loss_as_trained_has_the_terms_that_are_weighed_and_no_others() -> None:
    assert linear().trained_equation() == "recon + beta kl"
    found = linear(capacity=5.0, hy_tc=2.0, hy_dip=0.5, lambda_od=0.0).trained_equation()
    assert found == "recon + beta kl_capacity + hy_tc total_correlation + hy_dip lambda_d dip_diagonal"
    lie_group = LieGroupVAE(1, subgroup_sizes=[4], subspace_sizes=[2], hy_hes=0.0)
    assert lie_group.trained_equation() == "recon + beta kl + hy_rec group_feats_rec"


def test_the_annealed_vae_weighs_the_distance_from_its_capacity_of_25_nats() -> None:
    flags = ["--model=annealed_vae", "--annealed_gamma=7", "--capacity-leadin=100", "--latents=2"]
    model = build_model(build_parser().parse_args(flags), 1)
    weights = model.loss_weights()
    assert (model.capacity, weights["kl_capacity"], weights["kl"]) == (25.0, 7.0, 0.0)
    mu = torch.tensor([[6.0, 2.0]])  # a KL term of 20 nats
    distances = [model.code_terms(mu, torch.zeros(1, 2), mu, step)["kl_capacity"].item() for step in (0, 40, 80, 900)]
    assert distances == [20.0, 10.0, 0.0, 5.0]


def test_a_term_without_weight_is_logged_and_has_no_part_in_the_loss() -> None:
    terms = {"recon": torch.tensor(2.0), "kl": torch.tensor(math.nan)}
    found = VAE.with_total(terms, {"recon": 3.0, "kl": 0.0, "hessian": 0.0})
    assert found["loss"] == 6 and found["kl"].isnan() and list(found) == ["loss", "recon", "kl"]


def test_moves_are_added_to_the_code_and_images_are_the_sigmoid_of_what_is_decoded() -> None:
    model, (z, a, b) = linear(), torch.randn(3, 2, 3)
    torch.testing.assert_close(model.act(z, [a, b]), model.decode(z + a + b))
    assert torch.equal(model.image(z), torch.sigmoid(model.decode(z)))


def test_noise_is_standard_normal_and_the_optimiser_has_the_learning_rate() -> None:
    eps = linear().draw_noise(5000, torch.Generator().manual_seed(0))["eps"]
    assert eps.shape == (5000, 3)
    assert eps.mean().item() == pytest.approx(0, abs=0.05) and eps.std().item() == pytest.approx(1, abs=0.05)
    assert [(name, o.defaults["lr"]) for name, o in linear().make_optimisers(0.25).items()] == [("vae", 0.25)]


@pytest.fixture(scope="module", params=["vae", "lie_group"])
def model(request) -> VAE:
    return VAE(1, 2) if request.param == "vae" else LieGroupVAE(1, [4], [2])


def test_weights_are_drawn_uniformly_up_to_the_bound_of_xavier(model) -> None:
    for name, weight in model.named_parameters():
        if weight.numel() > 1000 and name.endswith("weight"):
            area = weight[0, 0].numel()  # of a convolution's kernel; 1 for a linear layer
            bound = math.sqrt(6 / (area * (weight.shape[0] + weight.shape[1])))
            assert 0.95 * bound < weight.abs().max() <= bound, name


def test_in_training_networks_round_to_bfloat16_and_in_evaluation_nothing_is_rounded(model) -> None:
    x = torch.rand(1, 1, 64, 64)
    exact = model.encode(x)[0]
    model.set_precision("bf16")
    rounded, evaluated = model.encode(x), model.eval().encode(x)
    model.train().set_precision("fp32")
    assert not torch.equal(rounded[0], exact)
    assert torch.equal(evaluated[0], exact) and torch.equal(model.encode(x)[0], exact)
    assert [code.dtype for code in rounded] == [torch.float32] * 2
    torch.testing.assert_close(rounded[0], exact, rtol=0.05, atol=0.02)


def test_a_setting_that_a_model_does_not_read_is_an_error() -> None:
    with pytest.raises(TypeError, match="VAE does not read hy_hes"):
        VAE(1, 2, hy_hes=1.0)


def test_a_step_compiles_to_one_graph(model) -> None:
    x, noise = torch.rand(2, 1, 64, 64), model.draw_noise(2, torch.Generator())
    compiled = torch.compile(model, backend="eager", fullgraph=True)(x, noise, torch.tensor(3))
    torch.testing.assert_close(compiled["loss"], model(x, noise, 3)["loss"])
