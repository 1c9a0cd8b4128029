"""Precision and speed.

Speed is also given as utilization: FLOP/s of training relative to those of a large matrix product on the same device in
the same precision. It can be compared between machines.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable

import torch

from system import randomness
from system.device import synchronise
from system.errors import UserError, first_line

PRODUCT_SIZE = 1024
USUAL = 0.45  # utilization of a training step, see docs/performance.md
BF16_PAYS = 1.5  # speed of the bf16 product relative to fp32, above which a training step is faster in bf16


def pick_precision(precision: str | None, device: torch.device) -> str:
    """The precision of a run. `auto`: bf16 if the device has units for it and its product pays (BF16_PAYS), else fp32.

    None: fp32 on a processor, `auto` on a GPU. Prints the choice, and a note if bf16 is slow on this device.
    """
    precision = precision or ("auto" if device.type == "cuda" else "fp32")
    units = _has_bf16_units(device)
    if precision == "auto":
        gain = product_rate(device, "bf16") / product_rate(device) if units else 0.0
        precision = "bf16" if gain >= BF16_PAYS else "fp32"
        reason = f"its matrix product is {gain:.1f} times that of fp32" if units else "no units for bfloat16"
        print(f"precision {precision} (--precision auto: {reason})")
    elif precision == "bf16" and not units:
        print("note: no bfloat16 units, where --precision bf16 is many times slower than fp32: leave the flag out")
    return precision


def _has_bf16_units(device: torch.device) -> bool:
    """Whether the device has bfloat16 units; True if unknown."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    features = torch.cpu.get_capabilities() if device.type == "cpu" else {"bf16": True}
    return any(present for feature, present in features.items() if "bf16" in feature)


def compile_model(model: torch.nn.Module, device: torch.device) -> None:
    """Have the model compiled at its first step. Raises UserError if this machine cannot compile one operation."""
    try:
        torch.compile(torch.neg)(torch.zeros(2, device=device))
    except RuntimeError as error:
        reason = first_line(error)[:150]
        raise UserError(f"--compile: {reason}; install a C++ compiler, or train without --compile") from error
    # Else a backward pass may write into a saved tensor of which another saved one is a view: with subgroups cut out of
    # the features, the gradients of the encoder's heads are several times too large in bf16 (PyTorch 2.11 and 2.13).
    torch._functorch.config.donated_buffer = False
    # CUDA graphs on a GPU, where launching the many small operations dominates.
    model.compile(mode="reduce-overhead" if device.type == "cuda" else None)


def product(device: torch.device, dtype: torch.dtype, n: int = PRODUCT_SIZE) -> Callable[[], torch.Tensor]:
    """A function that makes a matrix product of n^3; n: a multiple of 64.

    On a processor it is a 1x1 convolution of as many FLOP, so that the library of the convolutions makes it (that of
    `torch.mm` keeps to AVX2 on AMD's processors).
    """
    if device.type != "cpu":
        a = torch.ones(n, n, device=device, dtype=dtype)
        return lambda: torch.mm(a, a)
    x = torch.ones(n // 64, n, 8, 8, dtype=dtype).to(memory_format=torch.channels_last)  # n * n numbers
    weight = torch.ones(n, n, 1, 1, dtype=dtype).to(memory_format=torch.channels_last)
    return lambda: torch.nn.functional.conv2d(x, weight)


def product_rate(device: torch.device, precision: str = "fp32", seconds: float = 0.15) -> float:
    """FLOP/s of a matrix product of PRODUCT_SIZE^3 in fp32 or bf16 on the device: the median over some `seconds`.

    On a processor it is timed in processor time per thread, which other processes do not lengthen.
    """
    make = product(device, torch.bfloat16 if precision == "bf16" else torch.float32)
    clock, threads = (time.process_time, torch.get_num_threads()) if device.type == "cpu" else (time.perf_counter, 1)
    times: list[float] = []
    end = time.perf_counter() + seconds
    make()  # the first call sets up
    while not times or time.perf_counter() < end:
        synchronise(device)
        start = clock()
        make()
        synchronise(device)
        times.append((clock() - start) / threads)
    return 2 * PRODUCT_SIZE**3 / max(statistics.median(times), 1e-9)


def step_flops(model, objectives, device: torch.device, batch: int) -> float:
    """FLOP of one training step on `batch` images, as torch.utils.flop_counter counts them on black ones.

    Elementwise operations are not counted. The model and the global generators stay as they were.

    Args:
        model: a `models.vae.VAE`, or a module with its `channels`, `draw_noise` and `forward`.
        objectives: what `make_optimisers` names.
    """
    from torch.utils.flop_counter import FlopCounterMode

    x = torch.zeros(batch, model.channels, 64, 64, device=device)  # [batch, channels, 64, 64]
    noise = model.draw_noise(batch, torch.Generator().manual_seed(0))
    noise = {name: value.to(device) for name, value in noise.items()}
    model = copy.deepcopy(model)  # a step leaves gradients, and may change buffers, such as means of a batch norm
    with FlopCounterMode(display=False) as counter, randomness.kept():
        for objective in objectives:
            model(x, noise, 0, objective)["loss"].backward()
    return counter.get_total_flops()


class Speed:
    """Images/s of a training run, and its utilization: its FLOP/s relative to those of a matrix product on the device.

    The product is in bf16 for a run in bf16 if there are units for it, else in fp32. It is measured here: make this
    before anything runs in the background.

    processes: how many, on as many devices, share the run.
    """

    def __init__(self, device: torch.device, precision: str, processes: int = 1):
        self.device, self.processes = device, processes
        self.product = "bf16" if precision == "bf16" and _has_bf16_units(device) else "fp32"
        self.product_rate = product_rate(device, self.product) * processes  # FLOP/s
        self.flops_per_image = 0.0
        self.laps: list[float] = []  # images/s
        self.start()

    def start(self) -> None:
        """Start a lap: what was done since the last one does not count."""
        self.images, self._started = 0, time.perf_counter()

    def lap(self) -> float:
        """End a lap and start the next. Returns its images/s: of the images that were added to `images`."""
        images_per_second = self.images / max(time.perf_counter() - self._started, 1e-9)
        self.start()
        self.laps.append(images_per_second)
        return images_per_second

    def expected(self, images: float) -> float:
        """Seconds that training on so many images takes at a usual utilization, a rough guess."""
        return images * self.flops_per_image / (USUAL * self.product_rate)

    def utilization(self, images_per_second: float) -> float:
        """The utilization at this many images/s."""
        return images_per_second * self.flops_per_image / self.product_rate

    def summary(self) -> str:
        """One line for the end of a run, with the median speed of its laps."""
        if not self.laps:
            return "not measured: no report fell into this run"
        speed = statistics.median(self.laps)
        products = f"{self.processes} {self.product} products" if self.processes > 1 else f"a {self.product} product"
        flops, share = speed * self.flops_per_image / 1e9, self.utilization(speed)
        most = f"{self.product_rate / 1e9:,.0f} GFLOP/s"
        return f"{speed:,.0f} images/s, {share:.0%} of {products} ({flops:,.1f} of {most})"
