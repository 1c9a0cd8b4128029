"""The Lie group VAE gives the reference implementation's values, under five configurations."""

from __future__ import annotations

import copy
import functools
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from models.lie_vae import LieGroupVAE
from tests.reference import assert_summary, eps, fill_parameters, images

REFERENCE = json.loads((Path(__file__).parents[1] / "data/reference/lie_group_vae.json").read_text())
CASES = sorted(REFERENCE)
RTOL = 1e-4


@functools.cache
def build(case: str) -> LieGroupVAE:
    config = REFERENCE[case]["config"]
    model = LieGroupVAE(
        config["nc"],
        config["subgroup_sizes_ls"],
        config["subspace_sizes_ls"],
        lie_alg_init_scale=config["lie_alg_init_scale"],
        hy_hes=config["hy_hes"],
        hy_rec=config["hy_rec"],
        hy_commute=config["hy_commute"],
        no_exp=config["no_exp"],
        recons_loss_type=config["recons_loss_type"],
    )
    fill_parameters(model, config["basis_std"])
    return model


def batch_of(case: str) -> torch.Tensor:
    config = REFERENCE[case]["config"]
    return images(config["batch"], config["nc"], config["image_seed"])


def noise_of(model: LieGroupVAE, batch: int, seed: int, from_encoder_feats: bool = False) -> dict[str, torch.Tensor]:
    return {"eps": eps(batch, model.latents, seed), "from_encoder_feats": torch.tensor(from_encoder_feats)}


@pytest.mark.parametrize("case", CASES)
def test_weights_of_the_reference_load(case: str) -> None:
    """By their names and shapes, all of them."""
    model = copy.deepcopy(build(case))
    published = {name: torch.randn(shape) for name, shape in REFERENCE[case]["state_dict_shapes"].items()}
    model.load_state_dict(published, strict=True)
    assert all(torch.equal(value, published[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("case", CASES)
def test_forward_values(case: str) -> None:
    expected, model, x = REFERENCE[case], build(case), batch_of(case)
    with torch.no_grad():
        encoder_feats = model.encoder.prior_group(x)
        mu, logvar = model.encode(x)
        z = model.sample(mu, logvar, noise_of(model, len(x), 101))
        decoder_feats = model.decoder.group_feats(z)
        assert_summary(mu, expected["mu"])
        assert_summary(logvar, expected["logvar"])
        assert_summary(z, expected["z"])
        assert_summary(encoder_feats, expected["group_feats_encoder"])
        assert_summary(decoder_feats, expected["group_feats_decoder"])
        assert_summary(model.decoder.post_exp(decoder_feats), expected["x_hat_logits"])
        assert_summary(model.decoder.post_exp(encoder_feats), expected["x_hat_from_encoder_feats_logits"])
        assert_summary(model.decode(mu), expected["eval_x_hat_logits"])


@pytest.mark.parametrize("case", CASES)
def test_loss_terms_and_total(case: str) -> None:
    expected, model, x = REFERENCE[case], build(case), batch_of(case)
    via_latent = model(x, noise_of(model, len(x), 101), step=0)
    via_feats = model(x, noise_of(model, len(x), 101, from_encoder_feats=True), step=0)
    terms = expected["terms"]
    got = {
        "recon_via_latent": via_latent["recon"],
        "recon_via_encoder_feats": via_feats["recon"],
        "kl": via_latent["kl"],
        "hessian": model.decoder.hessian_penalty(),
        "commutator": model.decoder.commutator_penalty(),
        "group_feats_rec": via_latent["group_feats_rec"],
    }
    for name, value in got.items():
        np.testing.assert_allclose(value.item(), terms[name], rtol=RTOL, err_msg=name)
    np.testing.assert_allclose(via_latent["loss"].item(), expected["total_via_latent"], rtol=RTOL)
    np.testing.assert_allclose(
        via_latent["kl_per_latent"].detach().numpy(), expected["perdim_kl"], rtol=RTOL, atol=1e-6
    )


@pytest.mark.parametrize("case", CASES)
def test_gradient_norms(case: str) -> None:
    expected, model, x = REFERENCE[case], copy.deepcopy(build(case)), batch_of(case)
    model(x, noise_of(model, len(x), 101), step=0)["loss"].backward()
    norms = {name: 0.0 if p.grad is None else p.grad.double().norm().item() for name, p in model.named_parameters()}
    assert set(norms) == set(expected["grad_norms"])
    for name, norm in norms.items():
        np.testing.assert_allclose(norm, expected["grad_norms"][name], rtol=1e-3, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("case", CASES)
def test_adam_trajectory(case: str) -> None:
    trajectory, config = REFERENCE[case]["adam_trajectory"], REFERENCE[case]["config"]
    model = copy.deepcopy(build(case))
    (optimiser,) = model.make_optimisers(trajectory["lr"]).values()
    losses = []
    for step in range(len(trajectory["loss"])):
        x = images(config["batch"], config["nc"], 500 + step)
        from_feats = step in trajectory["reconstruct_from_encoder_feats_on_steps"]
        loss = model(x, noise_of(model, len(x), 700 + step, from_feats), step)["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    np.testing.assert_allclose(losses, trajectory["loss"], rtol=2e-3)
