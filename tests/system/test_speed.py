"""The yardstick of speed, precision, compilation, and that a step never waits for the device."""

from __future__ import annotations

import copy
import gc
import time

import numpy as np
import pytest
import torch
from torch.profiler import ProfilerActivity, profile

import training_loop
from datasets import FactorDataset
from models import kernels
from models.lie_vae import LieGroupVAE
from system import device, speed
from system.errors import UserError
from system.speed import product_rate, step_flops  # as they are: conftest.py replaces those of the module

CPU = torch.device("cpu")


def small_model(channels: int = 1) -> LieGroupVAE:
    torch.manual_seed(0)
    return LieGroupVAE(channels, [9], [3], recons_loss_type="bce").to(memory_format=torch.channels_last)


def small_dataset(images: int = 12) -> FactorDataset:
    pixels = np.random.default_rng(0).integers(2, size=(images, 64, 64, 1), dtype=np.uint8)
    return FactorDataset("dots", "made up", ["which"], [images], pixels, pixel_max=1)


def one_step(model, dataset, optimisers, step: int) -> dict[str, torch.Tensor]:
    x = dataset.batch(np.arange(4), CPU)
    noise = training_loop.draw_noise(model, len(x), 0, step, CPU)
    return training_loop.train_step(model, optimisers, x, noise, step)


def test_step_flops_are_those_of_the_networks():
    model = LieGroupVAE(1, [100], [10], recons_loss_type="bce")
    per_image = (step_flops(model, ["vae"], CPU, 20) - step_flops(model, ["vae"], CPU, 10)) / 10
    # 8.2 + 8.15 million multiply-adds forward, twice that backward but for the first layer's 0.52 million.
    assert per_image == pytest.approx(2e6 * (3 * (8.2 + 8.15) - 0.52), rel=0.01)
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_step_flops_do_not_depend_on_the_kernels(precision):
    model = small_model(3)
    model.set_precision(precision)
    fused = step_flops(model, ["vae"], CPU, 8)
    with kernels.switched_off():
        # The exponential is then squared more often.
        assert step_flops(model, ["vae"], CPU, 8) == pytest.approx(fused, rel=1e-4)


def test_counting_flops_changes_neither_a_random_state_nor_the_model():
    model, before = small_model(), torch.get_rng_state()
    model.encoder.prior_group.append(torch.nn.BatchNorm1d(9))
    state = copy.deepcopy(model.state_dict())
    step_flops(model, ["vae"], CPU, 8)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


@pytest.fixture
def at_full(monkeypatch) -> speed.Speed:
    """The speed of a run of which four images take as long as the product, with a clock that a test sets."""
    monkeypatch.setattr(speed, "product_rate", lambda *_: 4e9)
    monkeypatch.setattr(speed.time, "perf_counter", lambda: now[0])
    now = [100.0]
    measured = speed.Speed(CPU, "fp32")
    measured.flops_per_image, measured.now = 1e9, now
    return measured


def test_speed_is_the_share_of_the_product_rate(at_full):
    assert at_full.utilization(4) == 1 and "no report" in at_full.summary()
    for images in (2, 4, 6):
        at_full.now[0] += 2
        at_full.images += images
        assert at_full.lap() == images / 2
    assert at_full.summary() == "2 images/s, 50% of a fp32 product (2.0 of 4 GFLOP/s)"


def test_what_was_done_between_two_epochs_does_not_count(at_full):
    at_full.images, at_full.now[0] = 7, 150.0
    at_full.start()
    at_full.images, at_full.now[0] = 3, 151.0
    assert at_full.lap() == 3


@pytest.mark.parametrize(
    ("precision", "units", "product"), [("bf16", True, "bf16"), ("bf16", False, "fp32"), ("tf32", True, "fp32")]
)
def test_the_product_is_in_bf16_only_if_there_are_units_for_it(precision, units, product, monkeypatch):
    rates = {"bf16": 2e9, "fp32": 1e9}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": units})
    monkeypatch.setattr(speed, "product_rate", lambda device, precision: rates[precision])
    measured = speed.Speed(CPU, precision)
    assert (measured.product, measured.product_rate) == (product, rates[product])


@pytest.mark.parametrize(
    ("asked", "features", "gain", "chosen", "said"),
    [
        (
            "auto",
            {"avx512_bf16": True},
            4.0,
            "bf16",
            "precision bf16 (--precision auto: its matrix product is 4.0 times",
        ),
        (
            "auto",
            {"avx512_bf16": True},
            1.2,
            "fp32",
            "precision fp32 (--precision auto: its matrix product is 1.2 times",
        ),
        ("auto", {"avx512_bf16": False, "avx2": True}, 9.0, "fp32", "no units for bfloat16"),
        ("bf16", {"avx2": True}, 9.0, "bf16", "no bfloat16 units"),
        ("bf16", {"amx_bf16": True}, 9.0, "bf16", ""),
        ("fp32", {"amx_bf16": True}, 9.0, "fp32", ""),
        (None, {"amx_bf16": True}, 9.0, "fp32", ""),
    ],
)
def test_precision_is_chosen_by_features_and_a_measurement(asked, features, gain, chosen, said, monkeypatch, capsys):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: features)
    monkeypatch.setattr(
        speed, "product_rate", lambda device, precision="fp32", **_: gain if precision == "bf16" else 1.0
    )
    assert speed.pick_precision(asked, CPU) == chosen
    out = capsys.readouterr().out
    assert said in out and out.count("\n") == bool(said)


def test_on_a_gpu_the_precision_chooses_itself(monkeypatch, capsys):
    monkeypatch.setattr(speed, "_has_bf16_units", lambda device: True)
    monkeypatch.setattr(speed, "product_rate", lambda device, precision="fp32": 4.0 if precision == "bf16" else 1.0)
    assert speed.pick_precision(None, torch.device("cuda")) == "bf16"
    assert "(--precision auto:" in capsys.readouterr().out


def test_advice_where_others_keep_the_cores_busy(monkeypatch, capsys):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    device.advise_threads(load=1.9)
    assert capsys.readouterr().out == ""
    device.advise_threads(load=2.4)
    assert "2.4 of 4 cores busy" in (out := capsys.readouterr().out) and "--num-threads 2\n" in out
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    device.advise_threads(load=50.0)
    assert capsys.readouterr().out == ""


def test_product_rate_is_the_work_over_the_processor_time_of_a_thread(monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr(time, "process_time", lambda: next(clock))
    for threads in (1, 4):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        assert product_rate(CPU, seconds=0) == 2 * speed.PRODUCT_SIZE**3 * threads


def test_two_processes_are_compared_with_two_products(monkeypatch):
    monkeypatch.setattr(speed, "product_rate", lambda *_: 4e9)
    shared = speed.Speed(CPU, "fp32", processes=2)
    shared.flops_per_image = 1e9
    assert shared.utilization(8) == 1


def test_bf16_stays_close_to_fp32_and_leaves_encoding_alone():
    model, x = small_model(), small_dataset().batch(np.arange(4), CPU)
    noise = model.draw_noise(4, torch.Generator().manual_seed(0)) | {"from_encoder_feats": torch.tensor(False)}
    codes, exact = model.encode(x)[0], model(x, noise, 0)
    model.set_precision("bf16")
    rounded = model(x, noise, 0)
    rounded["loss"].backward()
    assert torch.equal(model.eval().encode(x)[0], codes)
    assert not torch.equal(rounded["recon"], exact["recon"])
    for name in ("recon", "kl", "loss"):
        torch.testing.assert_close(rounded[name], exact[name], rtol=0.03, atol=1e-3)
        assert rounded[name].dtype == torch.float32
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_a_copy_of_a_model_in_bf16_computes_with_its_own_weights():
    model, x = small_model(), small_dataset().batch(np.arange(4), CPU)
    model.set_precision("bf16")
    loss, other = model(x, None, 0)["loss"], copy.deepcopy(model)
    assert torch.equal(other(x, None, 0)["loss"], loss)
    torch.nn.init.zeros_(other.decoder.post_exp[0].weight)
    assert not torch.equal(other(x, None, 0)["loss"], loss) and torch.equal(model(x, None, 0)["loss"], loss)


def numbers_read(function) -> int:
    with profile(activities=[ProfilerActivity.CPU]) as trace:
        function()
    return sum(event.count for event in trace.key_averages() if event.key == "aten::_local_scalar_dense")


def test_a_step_reads_no_number_from_the_device(monkeypatch):
    """Reading a number waits for a GPU. See also tests/models/test_steps_wait_for_nothing.py, for every model."""
    model, dataset = small_model(), small_dataset()
    optimisers = model.make_optimisers(1e-3)
    # On a CPU the exponential reads its norm and the fused Adam its step counters; on a GPU neither does.
    monkeypatch.setattr(optimisers["vae"], "step", lambda: None)
    with kernels.switched_off():
        assert numbers_read(lambda: one_step(model, dataset, optimisers, 0)) == 0
        assert numbers_read(lambda: one_step(model, dataset, optimisers, 0)["loss"].item()) == 1


def test_a_machine_without_a_compiler_is_told_in_one_line(monkeypatch):
    def fail(function):
        raise RuntimeError("InvalidCxxCompiler: No working C++ compiler found\n\nSet TORCHDYNAMO_VERBOSE=1")

    monkeypatch.setattr(torch, "compile", fail)
    with pytest.raises(UserError, match="--compile: .* compiler found; install a C"):
        speed.compile_model(small_model(), CPU)


@pytest.mark.slow
def test_a_compiled_model_is_not_compiled_again_at_every_step():
    """Once, and once more when the number of the step has turned out to change; the capacity's schedule reads it."""
    from torch._dynamo.testing import CompileCounterWithBackend

    torch._dynamo.reset()
    model, counter = LieGroupVAE(1, [9], [3], capacity=5.0), CompileCounterWithBackend("eager")
    model.compile(backend=counter)
    for step in range(4):
        x, noise = torch.rand(2, 1, 64, 64), model.draw_noise(2, torch.Generator().manual_seed(step))
        model(x, noise, step)["loss"].backward()
    torch._dynamo.reset()
    assert 1 <= counter.frame_count <= 2


@pytest.mark.slow
def test_a_compiled_model_has_the_gradients_of_the_plain_one_in_bf16():
    """Of the model in which the heads and the loss read one tensor, the features: see compile_model."""

    def gradients(compiled: bool) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        model = LieGroupVAE(1, no_exp=True, hy_hes=0.0)
        model.set_precision("bf16")
        if compiled:
            speed.compile_model(model, CPU)
        x = torch.rand(8, 1, 64, 64, generator=torch.Generator().manual_seed(1))
        model(x, model.draw_noise(8, torch.Generator().manual_seed(2)), 0)["loss"].backward()
        return {name: value.grad for name, value in model.named_parameters() if value.grad is not None}

    torch._dynamo.reset()
    plain, compiled = gradients(False), gradients(True)
    torch._dynamo.reset()
    for name, gradient in plain.items():
        assert (compiled[name] - gradient).norm() < 0.1 * gradient.norm(), name


def test_the_terms_of_a_step_outlive_the_next_one():
    """A compiled model on a GPU writes the terms of every step into the same memory."""

    class Reusing(torch.nn.Linear):
        memory = torch.zeros(())

        def forward(self, x, noise, step, objective):
            loss = super().forward(x).square().mean()
            self.memory.copy_(loss.detach())
            return {"loss": loss, "recon": self.memory}

    model = Reusing(2, 2)
    optimisers = {"vae": torch.optim.SGD(model.parameters(), lr=0.1)}
    first, second = (training_loop.train_step(model, optimisers, torch.ones(1, 2), {}, step) for step in range(2))
    assert first["recon"] == first["loss"] != second["loss"] == second["recon"]


def test_a_step_leaves_no_memory_behind():
    """What a step allocates is freed at its end: the live tensors after the second and the fifth step are the same."""
    model, dataset = small_model(), small_dataset()
    optimisers = model.make_optimisers(1e-3)

    def living() -> int:
        gc.collect()
        return sum(type(value) in (torch.Tensor, torch.nn.Parameter) for value in gc.get_objects())

    counts = []
    one_step(model, dataset, optimisers, 0)
    gc.freeze()  # what is there by now is neither looked through nor counted
    try:
        for step in range(1, 5):
            one_step(model, dataset, optimisers, step)
            counts.append(living())
    finally:
        gc.unfreeze()
    assert counts[0] == counts[3]
