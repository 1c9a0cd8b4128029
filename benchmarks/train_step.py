"""Speed of a training step and of encoding, for each model and configuration, as shares of the matrix product's rate.

    python -m benchmarks.train_step [--threads N] [--cpu-time] [--precision bf16] [--only NAME ...] [--plain]
        [--profile]

Prints a Markdown table. With `--precision bf16` only the step, in shares of the bf16 product. `--plain` runs the layers
one by one, as PyTorch has them; `--profile` adds the profile of a step of the first configuration.
"""

from __future__ import annotations

import contextlib
import sys
from argparse import Namespace
from collections.abc import Callable

import torch

from benchmarks.measure import Figures, Yardstick, parser
from main import build_parser
from models import MODELS, build_model, kernels
from system import speed
from system.command_line import command_line
from training_loop import train_step

PUBLISHED = ["--batch-size=256", "--hy_rec=0.1", "--hy_commute=0", "--forward_eg_prob=0.2"]
DSPRITES = ["--dataset=dsprites", "--recons_loss_type=bce", *PUBLISHED]
SHAPES3D = ["--dataset=shapes3d", "--recons_loss_type=l2", "--subgroup_sizes_ls=[400]", "--hy_hes=20", *PUBLISHED]
CONFIGURATIONS = {"lie_group dsprites": DSPRITES, "lie_group shapes3d": SHAPES3D}
CONFIGURATIONS |= {f"{name} dsprites": [f"--model={name}", *DSPRITES] for name in MODELS if name != "lie_group"}


class Case:
    """A model, its optimisers and a batch of random images."""

    def __init__(self, flags: list[str], precision: str = "fp32"):
        self.args: Namespace = build_parser().parse_args(flags)
        channels = 3 if self.args.dataset == "shapes3d" else 1
        torch.manual_seed(0)
        self.model = build_model(self.args, channels)
        self.model.set_precision(precision)
        self.optimisers = self.model.make_optimisers(self.args.learning_rate)
        self.batch = self.args.batch_size
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
        from torch.utils.flop_counter import FlopCounterMode

        with FlopCounterMode(display=False) as counter, torch.no_grad():
            self.model.encode(self.x)
        step = speed.step_flops(self.model, self.optimisers, torch.device("cpu"), self.batch)
        return {"step": step, "encode": counter.get_total_flops()}

    def measure(self, yardstick: Yardstick) -> tuple[dict[str, Figures], dict[str, float]]:
        functions: dict[str, Callable] = {"step": self.step, "encode": self.encode}
        if yardstick.precision == "bf16":
            del functions["encode"]  # always in fp32
        flops = self.flops()
        return yardstick.compare(functions, flops), flops


def print_profile(case: Case) -> None:
    """Prints the operations that take most of the time of a step."""
    from torch.profiler import ProfilerActivity, profile

    case.step()
    with profile(activities=[ProfilerActivity.CPU]) as trace:
        case.step()
    print(trace.key_averages().table(sort_by="self_cpu_time_total", row_limit=16, max_name_column_width=40))


@command_line
def main() -> None:
    options = parser("train_step", __doc__.splitlines()[0])
    options.add_argument("--only", nargs="+", choices=CONFIGURATIONS, help="these configurations alone")
    options.add_argument("--precision", default="fp32", choices=("fp32", "bf16"), help="of the step (fp32)")
    options.add_argument("--plain", action="store_true", help="PyTorch's layers one by one, for comparison")
    options.add_argument("--profile", action="store_true", help="the profile of a step of the first configuration")
    args = options.parse_args()
    with kernels.switched_off() if args.plain else contextlib.nullcontext():
        report(args)


def report(args: Namespace) -> None:
    """Measure, and print a line for each configuration and operation."""
    yardstick = Yardstick(args)
    print("| model and configuration | batch | what | MFLOP/image | ms | images/s | GFLOP/s | share |")
    print("|---|---|---|---|---|---|---|---|")
    names = args.only or list(CONFIGURATIONS)
    for name in names:
        case = Case(CONFIGURATIONS[name], args.precision)
        figures, flops = case.measure(yardstick)
        for what, figure in figures.items():
            per_image = flops[what] / case.batch / 1e6
            print(f"| {name} | {case.batch} | {what} | {per_image:.1f} | {figure.row(flops[what], case.batch)} |")
        sys.stdout.flush()
    print(yardstick.describe())
    if args.profile:
        print_profile(Case(CONFIGURATIONS[names[0]], args.precision))


if __name__ == "__main__":
    sys.exit(main())
