"""A step that was recorded and is replayed is the step: nothing in it asks for a value, whatever the model."""

from __future__ import annotations

import contextlib
import itertools

import pytest
import torch

from assembly import check_machine
from graphed_step import WARM_UP, GraphedStep
from main import build_parser, main
from models import MODELS, build_model
from models.vae import VAE
from system.errors import UserError
from system.processes import Group
from tests.recorder import OnOneDevice, Tape, Waits, recorder
from training_loop import _noise, train_step

SMALL = ["--latents=4", "--subgroup_sizes_ls=[16,9]", "--subspace_sizes_ls=[3,1]", "--forward_eg_prob=0.5"]
MORE = {
    "lie_group": [["--capacity=5", "--capacity-leadin=20"], ["--hy_commute=1", "--recons_loss_type=l2"]],
    "dip_conv_vae_ii": [["--hy_tc=0.5", "--tc_estimator=stratified"]],
}
CASES = [(name, []) for name in MODELS] + [(name, flags) for name, cases in MORE.items() for flags in cases]
CPU = torch.device("cpu")
BATCH = 4


@pytest.fixture(autouse=True)
def as_on_a_gpu(monkeypatch) -> None:
    """The code that another device than a CPU runs, on small networks."""
    monkeypatch.setattr("models.kernels.exponential._can_wait", lambda a: not torch.is_grad_enabled())
    monkeypatch.setattr("models.kernels.fast_ops.fused", lambda x: False)
    monkeypatch.setattr("models.networks.MLP_WIDTH", 50)
    monkeypatch.setattr("models.factor_vae.HIDDEN", 50)


def build(name: str, *flags: str) -> VAE:
    args = build_parser().parse_args([f"--model={name}", "--recons_loss_type=bce", *SMALL, *flags])
    torch.manual_seed(0)
    model = build_model(args, channels=1)
    model.training_images = 100
    return model


def inputs(model: VAE, step: int, batch: int = BATCH) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    x = (torch.rand(batch, 1, 64, 64, generator=torch.Generator().manual_seed(step)) > 0.8).float()
    return x, _noise(model, batch, 0, step, CPU)


def state(model: VAE, optimisers: dict) -> list[torch.Tensor]:
    moments = (kept for optimiser in optimisers.values() for kept in optimiser.state.values())
    return [*model.state_dict().values(), *(value for kept in moments for value in kept.values())]


def graphed(model: VAE) -> GraphedStep:
    optimisers = model.make_optimisers(1e-3)
    return GraphedStep(model, optimisers, BATCH, recorder(lambda: state(model, optimisers)))


@pytest.mark.parametrize(("name", "flags"), CASES, ids=lambda value: "".join(value))
def test_replayed_steps_are_the_steps_to_the_bit(name: str, flags: list[str]) -> None:
    """Also those after an epoch's last batch, which is smaller and not recorded."""
    ours, theirs = build(name, *flags), build(name, *flags)
    step, optimisers = graphed(ours), theirs.make_optimisers(1e-3)
    sizes = [BATCH] * (WARM_UP + 3) + [BATCH - 1] + [BATCH] * 2
    choices = set()
    for number, batch in enumerate(sizes):
        x, noise = inputs(ours, number, batch)
        choices.add(bool(noise.get("from_encoder_feats")))
        terms, expected = step(x, noise, number), train_step(theirs, optimisers, x, noise, number)
        assert terms.keys() == expected.keys()
        for term, value in expected.items():
            assert torch.equal(terms[term], value), (number, term)
    assert step.replay is not None
    assert choices == ({False, True} if "from_encoder_feats" in noise else {False})
    for a, b in zip(state(ours, step.optimisers), state(theirs, optimisers), strict=True):
        assert torch.equal(a, b)


def test_terms_of_a_step_outlive_the_next_replay() -> None:
    step = graphed(build("lie_group"))
    for number in range(WARM_UP):
        step(*inputs(step.model, number), number)
    first = step(*inputs(step.model, 10), 10)
    before = {name: term.clone() for name, term in first.items()}
    step(*inputs(step.model, 11), 11)
    assert all(torch.equal(first[name], before[name]) for name in before)


@pytest.mark.parametrize("name", MODELS)
def test_every_step_gives_the_device_the_same_to_do(name: str) -> None:
    """The same operations with results of the same shapes: what is allocated and launched does not grow or vary."""
    model = build(name)
    optimisers = model.make_optimisers(1e-3)
    tapes = []
    for number in range(4):
        (x, noise), step = inputs(model, number), torch.tensor(number)
        with Tape() as tape:
            train_step(model, optimisers, x, noise, step)
        tapes.append(tape.signature())
    assert all(tape == tapes[1] for tape in tapes[2:])  # the first step makes Adam's moments


def test_what_cannot_be_recorded_is_refused_before_any_work() -> None:
    args = build_parser().parse_args(["--cuda-graph"])
    cuda, group = torch.device("cuda"), Group()
    check_machine(args, cuda, group)
    with pytest.raises(UserError, match="--cuda-graph needs a CUDA device"):
        check_machine(args, CPU, group)
    args.compile = True
    with pytest.raises(UserError, match="--cuda-graph does not go with --compile"):
        check_machine(args, cuda, group)
    args.compile, group.size = False, 2
    with pytest.raises(UserError, match="--cuda-graph does not go with several processes"):
        check_machine(args, cuda, group)


@pytest.mark.parametrize(("name", "flags"), CASES, ids=lambda value: "".join(value))
def test_nothing_is_copied_from_or_to_the_host_within_a_step(name: str, flags: list[str], monkeypatch) -> None:
    """On the device `meta`, which has shapes and no values: reading one is an error by itself."""
    monkeypatch.setattr("torch.autocast", lambda *_, **__: contextlib.nullcontext())  # it does not know this device
    model = build(name, *flags).to("meta")
    x, noise = inputs(model, 0)
    x, noise = x.to("meta"), {name: value.to("meta") for name, value in noise.items()}
    step = torch.zeros((), dtype=torch.int64, device="meta")
    with OnOneDevice("meta"):
        for objective in model.make_optimisers(1e-3):
            model(x, noise, step, objective)["loss"].backward()


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
    step = graphed(Asks(way))
    with pytest.raises(Waits):
        for number in range(WARM_UP + 1):
            step(*inputs(step.model, number), number)


def test_a_choice_made_in_python_is_found_out_by_its_numbers() -> None:
    """What no operation shows: a value that the recording took for a constant."""
    model, other = Asks("none"), Asks("none")
    counts = itertools.count()
    model.loss_weights = lambda: {"recon": 1.0 + next(counts)}
    step, optimisers = graphed(model), other.make_optimisers(1e-3)
    different = False
    for number in range(WARM_UP + 3):
        x, noise = inputs(model, number)
        other.loss_weights = lambda number=number: {"recon": 1.0 + number}
        terms, expected = step(x, noise, number), train_step(other, optimisers, x, noise, number)
        different |= not torch.equal(terms["loss"], expected["loss"])
    assert different


def test_a_run_with_recorded_steps_resumed_in_between_is_the_run_without(small_dsprites, tmp_path, monkeypatch) -> None:
    """Through the command line, over epochs whose last batch is smaller."""

    def fake(model, optimisers, batch_size):
        return GraphedStep(model, optimisers, batch_size, recorder(lambda: state(model, optimisers)))

    monkeypatch.setattr("assembly.GraphedStep", fake)
    monkeypatch.setattr("trainer.check_machine", lambda *_: None)
    common = ["--dataset=dsprites", f"--data-path={small_dsprites}", "--batch-size=50", "--seed=1", "--quiet", *SMALL]
    common += ["--end-metrics=no", "--visualise=no", "--num-threads=1"]
    graphed = [*common, f"--log-path={tmp_path}/graphed", "--cuda-graph=yes"]
    assert main([*common, f"--log-path={tmp_path}/plain", "--epochs=2"]) == 0
    assert main([*graphed, "--epochs=1"]) == 0
    assert main([*graphed, "--epochs=2", "--load-model=yes"]) == 0
    a, b = (
        torch.load(tmp_path / run / "version_0/checkpoints/model.pt", weights_only=True) for run in ("plain", "graphed")
    )
    assert all(torch.equal(a[name], b[name]) for name in a)
