"""A training step waits for nothing: no value of it is read by Python, whatever the model."""

from __future__ import annotations

import contextlib

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from main import build_parser
from models import MODELS, build_model, kernels
from models.vae import VAE
from training_loop import draw_noise, train_step

SMALL = ["--latents=4", "--subgroup_sizes_ls=[16,9]", "--subspace_sizes_ls=[3,1]", "--forward_eg_prob=0.5"]
MORE = {
    "lie_group": [["--capacity=5", "--capacity-leadin=20"], ["--hy_commute=1", "--recons_loss_type=l2"]],
    "dip_conv_vae_ii": [["--hy_tc=0.5", "--tc_estimator=stratified"]],
}
CASES = [(name, []) for name in MODELS] + [(name, flags) for name, cases in MORE.items() for flags in cases]


class Tape(TorchDispatchMode):
    """Names of all operations below autograd, and the shapes of what came out: what a device would be given to do."""

    def __init__(self):
        super().__init__()
        self.operations: list[tuple] = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        out = operation(*args, **(kwargs or {}))
        shape = lambda value: tuple(value.shape) if isinstance(value, torch.Tensor) else None  # noqa: E731
        self.operations.append((operation._schema.name, tree_map(shape, out)))
        return out


class OnOneDevice(TorchDispatchMode):
    """Fails at a tensor of another device: a copy from or to the host, which the host might have to wait for."""

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        out = operation(*args, **(kwargs or {}))
        for value in tree_leaves((args, kwargs, out)):
            if isinstance(value, torch.Tensor) and value.device.type != "meta":
                raise RuntimeError(f"{operation._schema.name} with a tensor of {value.device}")
        return out


@pytest.fixture(autouse=True)
def as_on_a_gpu(narrow_networks, monkeypatch):
    """The code that another device than a CPU runs, on small networks."""
    monkeypatch.setattr("torch.autocast", lambda *_, **__: contextlib.nullcontext())  # it does not know `meta`
    with kernels.switched_off():
        yield


def build(name: str, *flags: str) -> VAE:
    args = build_parser().parse_args([f"--model={name}", "--recons_loss_type=bce", *SMALL, *flags])
    torch.manual_seed(0)
    model = build_model(args, channels=1)
    model.training_images = 100
    return model


def inputs(model: VAE, step: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    x = (torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(step)) > 0.8).float()
    return x, draw_noise(model, 2, 0, step, torch.device("cpu"))


def step_without_values(model: VAE) -> None:
    """On the device `meta`, which has shapes and no values: reading one is an error by itself."""
    x, noise = inputs(model, 0)
    x, noise = x.to("meta"), {name: value.to("meta") for name, value in noise.items()}
    step = torch.zeros((), dtype=torch.int64, device="meta")
    model = model.to("meta")
    with OnOneDevice():
        for objective in model.make_optimisers(1e-3):
            model(x, noise, step, objective)["loss"].backward()


@pytest.mark.parametrize("name", MODELS)
def test_every_step_gives_the_device_the_same_to_do(name: str) -> None:
    """The same operations with results of the same shapes: what is allocated and launched does not grow or vary."""
    model = build(name)
    optimisers = model.make_optimisers(1e-3)
    tapes = []
    for number in range(3):
        (x, noise), step = inputs(model, number), torch.tensor(number)
        with Tape() as tape:
            train_step(model, optimisers, x, noise, step)
        tapes.append(tape.operations)
    assert tapes[1] == tapes[2]  # the first step makes Adam's moments


@pytest.mark.parametrize(("name", "flags"), CASES, ids=lambda value: "".join(value))
def test_no_value_is_read_and_nothing_copied_from_or_to_the_host_within_a_step(name: str, flags: list[str]) -> None:
    step_without_values(build(name, *flags))


class Asks(VAE):
    """A model that reads a value of its step: in one way or another."""

    def __init__(self, way: str):
        super().__init__(1, 2)
        self.way, self.weight = way, torch.nn.Parameter(torch.ones(()))

    def loss_terms(self, x, noise, step):
        value = (x.mean() * self.weight).square()
        if self.way == "item":
            value = value * (2 if value.item() > 0.01 else 1)
        elif self.way == "branch":
            value = value * (2 if value > 0.01 else 1)
        elif self.way == "mask":
            value = value + x[x > 0.5].mean() * self.weight
        elif self.way == "constant":
            value = value * torch.tensor(2.0)
        elif self.way == "step":
            value = value * float(step)
        return {"recon": value, "kl": value}


@pytest.mark.parametrize("way", ["item", "branch", "mask", "constant", "step"])
def test_a_model_that_asks_for_a_value_is_found_out(way: str) -> None:
    with pytest.raises(RuntimeError, match="meta|cpu"):
        step_without_values(Asks(way))


def test_a_model_that_asks_for_none_is_not() -> None:
    step_without_values(Asks("never"))
