"""Speed of a training step and of encoding, for each model and configuration, as shares of the matrix product's rate.

    python -m benchmarks.train_step [--threads N] [--cpu-time] [--precision bf16] [--only NAME ...] [--plain]
        [--profile]

A function and the product run in turns, and each turn gives one ratio: what slows the machine down slows both. With
`--cpu-time`, the processor time of all threads is measured: on a machine that others use, with one thread, its ratios
are more reliable. With `--precision bf16` only the step, in shares of the bf16 product. `--plain` runs the layers one
by one, as PyTorch has them; `--profile` adds the profile of a step of the first configuration.
"""

from __future__ import annotations

import contextlib
import statistics
import sys
import time
from argparse import Namespace
from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

from main import build_parser
from models import MODELS, build_model, kernels
from system import speed
from system.command_line import Parser, command_line
from system.device import keep_freed_memory
from training_loop import train_step

PUBLISHED = ["--batch-size=256", "--hy_rec=0.1", "--hy_commute=0", "--forward_eg_prob=0.2"]
DSPRITES = ["--dataset=dsprites", "--recons_loss_type=bce", *PUBLISHED]
SHAPES3D = ["--dataset=shapes3d", "--recons_loss_type=l2", "--subgroup_sizes_ls=[400]", "--hy_hes=20", *PUBLISHED]
CONFIGURATIONS = {"lie_group dsprites": DSPRITES, "lie_group shapes3d": SHAPES3D}
CONFIGURATIONS |= {f"{name} dsprites": [f"--model={name}", *DSPRITES] for name in MODELS if name != "lie_group"}
CPU, SIZE = torch.device("cpu"), 2048  # of the product


class Case:
    """A model, its optimisers and a batch of random images."""

    def __init__(self, flags: list[str], precision: str):
        args: Namespace = build_parser().parse_args(flags)
        channels, self.batch = 3 if args.dataset == "shapes3d" else 1, args.batch_size
        torch.manual_seed(0)
        self.model = build_model(args, channels)
        self.model.set_precision(precision)
        self.optimisers = self.model.make_optimisers(args.learning_rate)
        pixels = torch.rand(self.batch, channels, 64, 64)
        x = pixels if channels == 3 else (pixels > 0.95).float()
        self.x = x.contiguous(memory_format=torch.channels_last)  # [batch, channels, 64, 64]
        self.noise = self.model.draw_noise(self.batch, torch.Generator().manual_seed(0))

    def step(self) -> None:
        train_step(self.model, self.optimisers, self.x, self.noise, 0)

    @torch.inference_mode()
    def encode(self) -> None:
        self.model.encode(self.x)

    def flops(self) -> dict[str, float]:
        """FLOP of one call of each, as torch counts them."""
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            self.model.encode(self.x)
        return {
            "step": speed.step_flops(self.model, self.optimisers, CPU, self.batch),
            "encode": counter.get_total_flops(),
        }


def timed(function: Callable[[], object], clock: Callable[[], float]) -> float:
    """Seconds of one call."""
    start = clock()
    function()
    return clock() - start


def compare(function: Callable, product: Callable, rounds: int, clock: Callable) -> tuple[float, float]:
    """Seconds of the function, and the ratio of the product's time to it: medians over turns of both."""
    function(), function(), product()
    turns = [(timed(product, clock), timed(function, clock)) for _ in range(rounds)]
    return statistics.median(own for _, own in turns), statistics.median(reference / own for reference, own in turns)


def report(args: Namespace) -> None:
    """Measure, and print a line for each configuration and operation."""
    torch.set_num_threads(args.threads)
    keep_freed_memory()
    clock = time.process_time if args.cpu_time else time.perf_counter
    product = speed.product(CPU, torch.bfloat16 if args.precision == "bf16" else torch.float32, SIZE)
    print("| model and configuration | batch | what | MFLOP/image | ms | images/s | GFLOP/s | share |")
    print("|---|---|---|---|---|---|---|---|")
    names = args.only or list(CONFIGURATIONS)
    for name in names:
        case = Case(CONFIGURATIONS[name], args.precision)
        for what, flops in case.flops().items():
            if what == "encode" and args.precision == "bf16":  # always in fp32
                continue
            seconds, ratio = compare(getattr(case, what), product, args.rounds, clock)
            rates = f"{1e3 * seconds:.1f} | {case.batch / seconds:,.0f} | {flops / seconds / 1e9:.1f}"
            share = ratio * flops / (2 * SIZE**3)
            print(f"| {name} | {case.batch} | {what} | {flops / case.batch / 1e6:.1f} | {rates} | {share:.0%} |")
        sys.stdout.flush()
    rate = 2 * SIZE**3 / statistics.median(timed(product, clock) for _ in range(args.rounds)) / 1e9
    print(f"{args.precision} product {SIZE}^3: {rate:.0f} GFLOP/s, threads: {args.threads}; torch {torch.__version__}")
    if args.profile:
        from torch.profiler import ProfilerActivity, profile

        case = Case(CONFIGURATIONS[names[0]], args.precision)
        case.step()
        with profile(activities=[ProfilerActivity.CPU]) as trace:
            case.step()
        print(trace.key_averages().table(sort_by="self_cpu_time_total", row_limit=16, max_name_column_width=40))


@command_line
def main() -> None:
    parser = Parser(prog="python -m benchmarks.train_step", description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads [one per core]")
    parser.add_argument("--cpu-time", action="store_true", help="processor time in place of the wall clock")
    parser.add_argument("--rounds", type=int, default=7, help="turns, of which the median counts [7]")
    parser.add_argument("--only", nargs="+", choices=CONFIGURATIONS, help="these configurations alone")
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16"), help="of the step [fp32]")
    parser.add_argument("--plain", action="store_true", help="PyTorch's layers one by one, for comparison")
    parser.add_argument("--profile", action="store_true", help="the profile of a step of the first configuration")
    args = parser.parse_args()
    with kernels.switched_off() if args.plain else contextlib.nullcontext():
        report(args)


if __name__ == "__main__":
    sys.exit(main())
