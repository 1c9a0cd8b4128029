"""Time and memory of a training step against batch, latents, subgroup size, number of subgroups and channels.

    python -m benchmarks.scale [--threads N] [--cpu-time] [--plot FILE.png]

Each line varies one thing of the published dSprites configuration (batch 256, 10 latents, one subgroup of 100). Memory
is what the process grows by at its peak, from before the model is built (Linux only).
"""

from __future__ import annotations

import ctypes
import gc
import platform
import sys
from pathlib import Path

from benchmarks.measure import Yardstick, parser
from benchmarks.train_step import DSPRITES, SHAPES3D, Case

SWEEPS: dict[str, dict[int, list[str]]] = {
    "batch": {n: [f"--batch-size={n}"] for n in (32, 64, 128, 256, 512)},
    "latents": {n: [f"--latents={n}", f"--subspace_sizes_ls=[{n}]"] for n in (5, 10, 20, 50)},
    "subgroup size": {n: [f"--subgroup_sizes_ls=[{n}]"] for n in (25, 100, 400, 1600)},
    "subgroups": {
        n: [f"--subgroup_sizes_ls={[25] * n}", f"--subspace_sizes_ls={[2] * n}", f"--latents={2 * n}"]
        for n in (1, 4, 16, 64)
    },
}


def resident(field: str) -> float:
    """MB of this process, VmRSS or VmHWM (its peak); nan where the system does not say."""
    status = Path("/proc/self/status")
    if not status.exists():
        return float("nan")
    return int(next(line for line in status.read_text().splitlines() if line.startswith(field)).split()[1]) / 1e3


def start_peak() -> float:
    """Give back what is free, and let the peak start from here. Returns the MB in use."""
    gc.collect()
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
    return resident("VmRSS")


def main() -> int:
    options = parser(__doc__.splitlines()[0], rounds=3)
    options.prog = f"python -m benchmarks.{Path(__file__).stem}"
    options.add_argument("--plot", metavar="FILE.png", help="draw the table")
    args = options.parse_args()
    yardstick = Yardstick(args)
    curves: dict[str, list[tuple[int, float]]] = {}
    print("| varied | value | MFLOP/image | step, ms | images/s | GFLOP/s | share | memory, MB |")
    print("|---|---|---|---|---|---|---|---|")
    lines = [(what, value, [*DSPRITES, *flags]) for what, sweep in SWEEPS.items() for value, flags in sweep.items()]
    lines.append(("channels", 3, [*SHAPES3D, "--subgroup_sizes_ls=[100]"]))
    for what, value, flags in lines:
        before = start_peak()
        case = Case(flags)
        flops = case.flops()["step"]
        figure = yardstick.compare({"step": case.step}, {"step": flops})["step"]
        row = figure.row(flops, case.batch)
        memory = resident("VmHWM") - before
        print(f"| {what} | {value} | {flops / case.batch / 1e6:.1f} | {row} | {memory:,.0f} |", flush=True)
        curves.setdefault(what, []).append((value, 1e6 * figure.seconds / case.batch))
        del case
    print(yardstick.describe())
    if args.plot:
        draw(curves, args.plot)
    return 0


def draw(curves: dict[str, list[tuple[int, float]]], file: str) -> None:
    """Microseconds an image against each thing varied, on logarithmic axes."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(SWEEPS), figsize=(3 * len(SWEEPS), 2.6), sharey=True, layout="constrained")
    for axis, what in zip(axes, SWEEPS, strict=True):
        values, costs = zip(*curves[what], strict=True)
        axis.loglog(values, costs, marker="o")
        axis.set_xticks(values, [str(value) for value in values])
        axis.minorticks_off()
        axis.set_xlabel(what)
        axis.grid(True, which="both", alpha=0.3)
    ticks = [1000, 2000, 5000]
    axes[0].set_yticks(ticks, [str(tick) for tick in ticks])
    axes[0].set_ylabel("step, µs an image")
    figure.savefig(file, dpi=100)


if __name__ == "__main__":
    sys.exit(main())
