"""What holds for every registered model: named terms, optimisers, what it says about itself, and that it learns."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

import main
from datasets.render.dsprites import draw
from models import MODELS, build_model, settings_read
from models.vae import VAE
from training_loop import train_step

SMALL = ["--latents=4", "--subgroup_sizes_ls=[16,9]", "--subspace_sizes_ls=[3,1]", "--capacity-leadin=100"]
PENALTIES = ["--hy_tc=0.7", "--hy_dip=0.3"]
TERM = re.compile(r"[a-z][a-z_]*")


pytestmark = pytest.mark.usefixtures("narrow_networks")  # the reference values see the real ones


def build(name: str, *flags: str, loss: str = "bce") -> VAE:
    """The model as the command line builds it, small, for one channel, with weights from a fixed seed."""
    args = main.build_parser().parse_args([f"--model={name}", f"--recons_loss_type={loss}", *SMALL, *flags])
    torch.manual_seed(0)
    model = build_model(args, channels=1)
    model.training_images = 1000
    return model


def noise_of(model: VAE, batch: int, seed: int = 0) -> dict[str, torch.Tensor]:
    return model.draw_noise(batch, torch.Generator().manual_seed(seed))


def penalties_of(name: str) -> list[str]:
    """The penalty flags that the model takes: those that are not its own already."""
    return [flag for flag in PENALTIES if flag.split("=")[0][2:] in settings_read(name)]


@pytest.fixture(scope="module")
def replica() -> torch.Tensor:
    """288 images of the dSprites replica, `[288, 1, 64, 64]`."""
    grid = np.meshgrid(np.arange(3), np.arange(6), [0], np.arange(0, 32, 8), np.arange(0, 32, 8), indexing="ij")
    factors = np.stack([values.ravel() for values in grid], axis=1)  # [288, 5]
    return torch.from_numpy(draw(factors)).permute(0, 3, 1, 2).float()


@pytest.mark.parametrize("name", MODELS)
def test_total_is_the_weighted_sum_of_the_named_terms(name: str) -> None:
    model = build(name, *penalties_of(name))
    x = torch.rand(3, 1, 64, 64)
    for noise in (noise_of(model, 3), None):
        with torch.no_grad():
            terms = model(x, noise, step=30)
        weights = {term: weight for term, weight in model.loss_weights().items() if weight != 0}
        total = sum(weight * terms[term].item() for term, weight in weights.items())
        np.testing.assert_allclose(terms["loss"].item(), total, rtol=1e-5)
        scalars = {term for term, value in terms.items() if value.dim() == 0}
        assert set(weights) <= scalars


@pytest.mark.parametrize("name", MODELS)
def test_in_bf16_terms_are_rounded_no_more_than_what_they_are_computed_from(name: str) -> None:
    model = build(name, *penalties_of(name))
    x, noise = torch.rand(6, 1, 64, 64), noise_of(model, 6)
    model.set_precision("bf16")
    with torch.no_grad():
        terms = {name: term for name, term in model(x, noise, step=30).items() if term.dim() == 0}
    assert {term.dtype for term in terms.values()} == {torch.float32}
    assert not [name for name, term in terms.items() if term != 0 and term == term.bfloat16()]  # has more digits


@pytest.mark.parametrize("name", MODELS)
def test_equation_and_flags_are_what_the_model_has(name: str) -> None:
    model = build(name)
    dests = settings_read(name)
    assert dests <= vars(main.build_parser().parse_args([])).keys()
    with torch.no_grad():
        terms = set(model(torch.rand(2, 1, 64, 64), None, step=0))  # evaluation computes every term
    named = set(TERM.findall(model.equation))
    assert named <= terms | dests
    assert not terms & {"total_correlation", "dip_off_diagonal", "dip_diagonal", "kl_capacity"} - named  # not asked for


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("value", [0.0, 1.0], ids=["black", "white"])
def test_terms_and_gradients_are_finite_on_black_and_on_white(name: str, value: float) -> None:
    for loss in ("bce", "l2"):
        model = build(name, *penalties_of(name), loss=loss)
        x = torch.full((2, 1, 64, 64), value)
        for objective in model.make_optimisers(1e-4):
            terms = model(x, noise_of(model, 2), step=3, objective=objective)
            assert all(torch.isfinite(term).all() for term in terms.values()), terms
            model.zero_grad()
            terms["loss"].backward()
            assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", MODELS)
def test_a_batch_of_one_has_finite_terms(name: str) -> None:
    model = build(name, *penalties_of(name), "--tc_estimator=stratified")
    for objective in model.make_optimisers(1e-4):
        terms = model(torch.rand(1, 1, 64, 64), noise_of(model, 1), step=3, objective=objective)
        assert all(torch.isfinite(term).all() for term in terms.values()), terms


@pytest.mark.parametrize("name", MODELS)
def test_all_randomness_of_a_step_comes_from_the_noise(name: str) -> None:
    model, x = build(name), torch.rand(2, 1, 64, 64)
    for objective in model.make_optimisers(1e-4):
        with torch.no_grad():
            first, again = (model(x, noise_of(model, 2), step=3, objective=objective) for _ in range(2))
            other = model(x, noise_of(model, 2, seed=1), step=3, objective=objective)
        assert all(torch.equal(first[term], again[term]) for term in first)
        assert not torch.equal(first["loss"], other["loss"])


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_has_one_optimiser(name: str) -> None:
    model = build(name)
    taken = [p for o in model.make_optimisers(1e-4).values() for group in o.param_groups for p in group["params"]]
    assert len(taken) == len({id(p) for p in taken}) == len(list(model.parameters()))


@pytest.mark.parametrize("name", MODELS)
def test_reference_state_dict_goes_there_and_back(name: str) -> None:
    source, target = build(name), build(name)
    with torch.no_grad():
        for parameter in source.parameters():
            parameter.add_(1)
    target.load_reference_state_dict(source.reference_state_dict())
    x = torch.rand(2, 1, 64, 64)
    with torch.no_grad():
        assert torch.equal(source.encode(x)[0], target.encode(x)[0])
        for images in target.reconstructions(x).values():
            assert images.shape == x.shape
            assert images.min() >= 0
            assert images.max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_loss_falls_within_200_steps(name: str, replica: torch.Tensor) -> None:
    model = build(name, "--annealed_gamma=10")
    optimisers = model.make_optimisers(1e-3)
    losses = []
    for step in range(200):
        x = replica[torch.randint(len(replica), (4,), generator=torch.Generator().manual_seed(step))]
        losses.append(train_step(model, optimisers, x, noise_of(model, 4, seed=step), step)["loss"])
    first, last = torch.stack(losses[:5]).mean().item(), torch.stack(losses[-20:]).mean().item()
    assert last < 0.5 * first
