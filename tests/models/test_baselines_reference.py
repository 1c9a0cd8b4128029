"""The baselines give the reference implementation's values, and interchange weights with it."""

from __future__ import annotations

import copy
import functools
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from main import build_parser
from models import build_model
from models.vae import VAE, reconstruction_loss
from tests.reference import assert_summary, eps, fill_parameters, images

REFERENCE = json.loads((Path(__file__).parents[1] / "data/reference/baselines.json").read_text())
CASES = sorted(REFERENCE)
FACTOR_CASES = [case for case in CASES if case.startswith("factor")]
DIP_CASES = [case for case in CASES if case.startswith("dip")]
RTOL = 1e-4
of_cases = functools.partial(pytest.mark.parametrize, "case", scope="module")  # all tests of a case together


@functools.lru_cache(maxsize=1)
def build(case: str) -> VAE:
    """The model as the command line builds it from the reference's arguments, with the reference's weights."""
    settings = dict(REFERENCE[case]["args"])
    channels = settings.pop("nc")
    argv = [f"--{name}={value}" for name, value in settings.items()] + ["--recons_loss_type=bce"]
    model = build_model(build_parser().parse_args(argv), channels)
    fill_parameters(model)
    return model


def images_of(case: str) -> torch.Tensor:
    return images(REFERENCE[case]["batch"], REFERENCE[case]["args"]["nc"], REFERENCE[case]["image_seed"])


def noise_of(case: str) -> dict[str, torch.Tensor]:
    """The reference's noise; sorting the keys gives the reference's permutations."""
    batch, latents = REFERENCE[case]["batch"], REFERENCE[case]["args"]["latents"]
    rows = [np.argsort(np.random.RandomState(300 + j).permutation(batch)) for j in range(latents)]
    keys = torch.from_numpy(np.stack(rows, axis=1)).float()  # [batch, latents]
    return {"eps": eps(batch, latents, REFERENCE[case]["eps_seed"]), "permutation_keys": keys}


@of_cases(CASES)
def test_reference_weights_load(case: str) -> None:
    """By their names and shapes, all of them."""
    published = {name: torch.randn(shape) for name, shape in REFERENCE[case]["state_dict_shapes"].items()}
    model = copy.deepcopy(build(case))
    model.load_reference_state_dict(published)
    for name, value in model.reference_state_dict().items():
        assert torch.equal(value, published[name]), name
    published.popitem()
    with pytest.raises(RuntimeError, match="Missing key"):
        model.load_reference_state_dict(published)


@of_cases(CASES)
def test_forward_values(case: str) -> None:
    expected, model, x = REFERENCE[case], build(case), images_of(case)
    with torch.no_grad():
        mu, logvar = model.encode(x)
        x_hat_logits = model.decode(model.sample(mu, logvar, noise_of(case)))
    assert_summary(mu, expected["mu"])
    assert_summary(logvar, expected["logvar"])
    assert_summary(x_hat_logits, expected["x_hat_logits"])
    for kind in ("bce", "l2"):
        recon = reconstruction_loss(x_hat_logits, x, kind).item()
        np.testing.assert_allclose(recon, expected[f"recon_{kind}"], rtol=RTOL)


@pytest.mark.parametrize("loss", ["bce", "l2"])
@of_cases(CASES)
def test_loss_terms_and_total(case: str, loss: str) -> None:
    expected, model = REFERENCE[case], build(case)
    model.recons_loss_type = loss
    with torch.no_grad():
        terms = model(images_of(case), noise_of(case), step=500)
    np.testing.assert_allclose(terms["kl"].item(), expected["kl"], rtol=RTOL)
    kl_term = "kl" if model.capacity is None else "kl_capacity"
    weighted_kl = model.loss_weights()[kl_term] * terms[kl_term].item()
    np.testing.assert_allclose(weighted_kl, expected["weighted_kl_at_step_500"], rtol=RTOL)
    total = (
        expected[f"recon_{loss}"]
        + expected["weighted_kl_at_step_500"]
        + expected.get("dip_regulariser", 0.0)
        + expected.get("tc_loss_weighted", 0.0)
    )
    np.testing.assert_allclose(terms["loss"].item(), total, rtol=RTOL)


@of_cases(DIP_CASES)
def test_dip_regulariser(case: str) -> None:
    model = build(case)
    with torch.no_grad():
        terms = model(images_of(case), noise_of(case), step=0)
    weights = model.loss_weights()
    regulariser = sum(weights[name] * terms[name].item() for name in ("dip_off_diagonal", "dip_diagonal"))
    np.testing.assert_allclose(regulariser, REFERENCE[case]["dip_regulariser"], rtol=RTOL)


@of_cases(FACTOR_CASES)
def test_discriminator(case: str) -> None:
    expected, model, x, noise = REFERENCE[case], build(case), images_of(case), noise_of(case)
    with torch.no_grad():
        logits = model.discriminator(model.sample(*model.encode(x), noise))
        tc = model.factor_vae_gamma * model(x, noise, step=0)["density_ratio_tc"].item()
        terms = model(x, noise, step=0, objective="discriminator")
    assert_summary(logits, expected["discriminator_logits"])
    np.testing.assert_allclose(tc, expected["tc_loss_weighted"], rtol=RTOL)
    np.testing.assert_allclose(terms["loss"].item(), expected["discriminator_loss"], rtol=RTOL)
