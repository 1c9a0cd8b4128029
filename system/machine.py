"""What a run asks of the machine: memory, precision, compilation, and how much of the machine's speed it reaches.

The yardstick is the rate of one large matrix product in the run's precision, measured where the run takes place. The
share of it that a training step reaches is a figure that can be compared between machines.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from system import randomness
from system.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
PRODUCT_SIZE = 1024
MAX_LAPS = 10_000
BF16_PAYS = 1.5  # times the fp32 product, from which on a step in bf16 is faster


def pick_device(name: str, index: int = 0) -> torch.device:
    """`auto` is cuda (the one of this index), else mps, else cpu.

    Raises UserError for a device that this machine lacks.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(kind for kind, present in available.items() if present)
    if not available[name]:
        raise UserError(f"--device {name} is not available on this machine; use --device auto")
    if name != "cuda":
        return torch.device(name)
    torch.cuda.set_device(index)
    # The same seed gives the same bits: no autotuned or atomic kernels.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(True, warn_only=True)
    return torch.device(name, index)


def keep_freed_memory() -> None:
    """Have glibc's malloc hold on to what a step frees, for the next one.

    By default it returns large blocks to the system and gets them back as fresh pages, which the kernel must fill with
    zeros: up to a quarter of a step's time. Other C libraries are left as they are.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of mallopt(3)
    libc = ctypes.CDLL(None)
    libc.mallopt(mmap_threshold, 32 << 20)  # the largest value that it takes
    libc.mallopt(trim_threshold, 2**31 - 1)


def circumstances(device: torch.device, precision: str) -> dict:
    """What else decides how fast a run is, and to the last bit how it ends: plain data for its record."""
    return {
        **hardware(device),
        "threads": torch.get_num_threads(),
        "precision": precision,
        "torch": str(torch.__version__),
        "revision": revision(),
    }


def hardware(device: torch.device) -> dict[str, str]:
    """What computes."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {"processor": processor(), "device": name}


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name, with what PyTorch makes use of: `AMD EPYC 7763, AVX2`; `bf16` where it has units for it."""
    text = cpuinfo.read_text(encoding="utf-8") if cpuinfo.is_file() else ""
    name = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    parts = [name[1].strip() if name else platform.processor() or platform.machine()]
    parts.append(torch.backends.cpu.get_cpu_capability())
    if re.search(r"\b(avx512_bf16|amx_bf16|bf16)\b", text):
        parts.append("bf16")
    return ", ".join(parts)


def revision(folder: Path = ROOT) -> str | None:
    """The git commit of the code, `-dirty` where files differ from it; None where it is no repository."""
    if not (folder / ".git").exists():
        return None
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}  # only looked at
    try:
        found = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()


def set_threads(number: int | None) -> None:
    """Use so many CPU threads; None: one per core, with a line of advice where other processes keep them busy."""
    if number:
        torch.set_num_threads(number)
    else:
        advise_threads()


def advise_threads(load: float | None = None) -> None:
    """Print a line of advice where this process is about to use every core of a machine that others keep busy.

    Args:
        load: how many cores they use; None: the mean over the last minute, where the system tells.
    """
    threads = torch.get_num_threads()
    if load is None:
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if threads > 1 and load > threads / 2:
        print(
            f"note: other processes keep {load:.1f} of {threads} cores busy. Runs that use every core slow each other "
            f"down many times: give each its share of them, such as --num-threads {threads // 2}"
        )


def pick_precision(precision: str, device: torch.device, sessions: Sequence[dict] = ()) -> str:
    """`auto` becomes bf16 where the device has units for it and its product is BF16_PAYS times that of fp32, else fp32.

    Prints what was chosen, and a warning where bf16 was asked for and has no units.

    Args:
        sessions: the `circumstances` of the run so far. On the same hardware it keeps the precision of the last one: a
            measurement near BF16_PAYS may come out otherwise, and the run would go on to other bits.
    """
    units = _has_bf16_units(device)
    if precision == "bf16" and not units:
        print(
            "note: this processor has no bfloat16 units, where --precision bf16 is many times slower than fp32: "
            "leave the flag out"
        )
    if precision != "auto":
        return precision
    before = sessions[-1] if sessions else {}
    if before.get("precision") in ("fp32", "bf16") and hardware(device).items() <= before.items():
        print(f"precision {before['precision']} (--precision auto: as this run so far)")
        return before["precision"]
    clock = time.process_time if device.type == "cpu" else time.perf_counter  # other processes must not decide
    gain = product_rate(device, "bf16", clock=clock) / product_rate(device, clock=clock) if units else 0.0
    reason = f"its matrix product is {gain:.1f} times that of fp32" if units else "no units for bfloat16"
    precision = "bf16" if gain >= BF16_PAYS else "fp32"
    print(f"precision {precision} (--precision auto: {reason})")
    return precision


def _has_bf16_units(device: torch.device) -> bool:
    """Whether the device computes in bfloat16; where nobody tells, a measurement decides."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        return any(present for feature, present in torch.cpu.get_capabilities().items() if "bf16" in feature)
    return True


def set_precision(model: torch.nn.Module, precision: str, device: torch.device) -> None:
    """How the model's training loss is computed: `fp32`, `tf32` (fp32 with shorter products on a GPU) or `bf16`.

    `bf16` is autocast: products and convolutions in bfloat16, weights and optimiser in float32. Only `forward`, hence
    training and validation, is affected: codes for scores and pictures stay in full precision.
    """
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    if precision == "bf16":
        model.forward = torch.autocast(device.type, torch.bfloat16)(model.forward)


def product_rate(
    device: torch.device,
    precision: str = "fp32",
    seconds: float = 0.15,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """FLOP/s of a matrix product of PRODUCT_SIZE^3 in fp32 or bf16 on the device: a median.

    Takes about so many seconds. On a processor it is that of the faster library, and the libraries share the time.
    """
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    a = torch.ones(PRODUCT_SIZE, PRODUCT_SIZE, device=device, dtype=dtype)
    b = torch.ones_like(a)
    libraries = products(device, dtype)

    def taken(product: Callable) -> float:
        times: list[float] = []
        end = time.perf_counter() + seconds / len(libraries)
        product(a, b)  # the first call sets up
        while not times or time.perf_counter() < end:
            synchronise(device)
            start = clock()
            product(a, b)
            synchronise(device)
            times.append(clock() - start)
        return statistics.median(times)

    return 2 * PRODUCT_SIZE**3 / max(min(taken(product) for product in libraries), 1e-9)


def products(device: torch.device, dtype: torch.dtype) -> list[Callable[[torch.Tensor, torch.Tensor], torch.Tensor]]:
    """The libraries that multiply two square matrices: MKL, which keeps to AVX2 on AMD's processors, and oneDNN."""
    if device.type != "cpu" or platform.machine() not in ("x86_64", "AMD64"):
        return [torch.mm]

    def one_dnn(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.ops.mkldnn._linear_pointwise(a, b.T, None, "none", [], "")

    try:
        one_dnn(*torch.ones(2, 2, 2, dtype=dtype))
    except RuntimeError:  # oneDNN is not there, or has none in this type for this processor
        return [torch.mm]
    return [torch.mm, one_dnn]


def send(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A tensor on the device. CUDA is not waited for: that takes memory which the system may not move."""
    if device.type == "cuda" and values.device.type == "cpu":
        return values.pin_memory().to(device, non_blocking=True)
    return values.to(device)


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type in ("cuda", "mps"):
        getattr(torch, device.type).synchronize()


def step_flops(model, objectives, device: torch.device, batch: int) -> float:
    """FLOP of one training step, as torch.utils.flop_counter counts them on steps of one and of two images.

    Two sizes, because penalties on the weights cost the same for any batch. Elementwise operations are not counted.
    Leaves no gradient behind and draws from no global generator.

    Args:
        model: a `models.vae.VAE`, or a module with its `channels`, `draw_noise` and `forward`.
        objectives: what `make_optimisers` names.
    """
    from torch.utils.flop_counter import FlopCounterMode

    counts = []
    for images in (1, 2):
        x = torch.zeros(images, model.channels, 64, 64, device=device)  # [images, channels, 64, 64]
        noise = model.draw_noise(images, torch.Generator().manual_seed(0))
        noise = {name: value.to(device) for name, value in noise.items()}
        with FlopCounterMode(display=False) as counter, randomness.kept():
            for objective in objectives:
                model(x, noise, 0, objective)["loss"].backward()
        counts.append(counter.get_total_flops())
    model.zero_grad(set_to_none=True)
    return counts[0] + (batch - 1) * (counts[1] - counts[0])


class Speed:
    """Images/s of a training run, and its utilization: its share of the device's product rate.

    Args:
        objectives: what `make_optimisers` names.
        batch: images per step.
        rate: what `product_rate` gave, before anything ran in the background.
        precision: that of the run, and of the product.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        objectives,
        device: torch.device,
        batch: int,
        rate: float,
        precision: str = "fp32",
    ):
        self.flops_per_image = step_flops(model, objectives, device, batch) / batch
        self.product_rate, self.product = rate, "bf16" if precision == "bf16" else "fp32"
        self.laps: list[float] = []

    def utilization(self, images_per_second: float) -> float:
        """The share of the product rate that this many images/s make."""
        return images_per_second * self.flops_per_image / self.product_rate

    def lap(self, images_per_second: float) -> float:
        """Note the speed since the last report; returns its utilization."""
        if len(self.laps) < MAX_LAPS:
            self.laps.append(images_per_second)
        return self.utilization(images_per_second)

    def summary(self) -> str:
        """One line for the end of a run: the median over its reports."""
        if not self.laps:
            return "not measured: no report fell into this run"
        speed = statistics.median(self.laps)
        flops = speed * self.flops_per_image
        return (
            f"{speed:,.0f} images/s, {flops / 1e9:,.1f} GFLOP/s: {self.utilization(speed):.0%} of this machine's "
            f"{self.product} matrix product ({self.product_rate / 1e9:,.0f} GFLOP/s)"
        )
