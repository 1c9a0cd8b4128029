"""Compares the speed of this code with the stored baseline; exit status 1 if something is over 10 % slower.

    python -m benchmarks.regression [--threads N] [--cpu-time] [--update]

Speeds are compared as utilization, relative to the fp32 product, which differs little between machines of one kind; the
baseline records the kind. Single measurements vary by ten percent on a busy machine: if something seems slower, all is
measured ATTEMPTS times, and the medians are compared. `--update` stores such medians in baseline.json.
"""

from __future__ import annotations

import json
import platform
import statistics
import sys
from pathlib import Path

import torch

from benchmarks.measure import Yardstick, parser
from benchmarks.train_step import CONFIGURATIONS, Case
from system.files import write_text

BASELINE = Path(__file__).with_name("baseline.json")
NAMES = ("lie_group dsprites", "lie_group shapes3d")
TOLERANCE = 0.10
ATTEMPTS = 3


def measure(yardstick: Yardstick) -> dict[str, float]:
    """Utilization by configuration and operation."""
    utilizations: dict[str, float] = {}
    for name in NAMES:
        figures, _ = Case(CONFIGURATIONS[name]).measure(yardstick)
        utilizations |= {f"{name} {what}": round(figure.utilization, 4) for what, figure in figures.items()}
    return utilizations


def medians(runs: list[dict[str, float]]) -> dict[str, float]:
    """The median of each utilization over several measurements."""
    return {what: statistics.median(run[what] for run in runs) for what in runs[0]}


def slower_than(before: dict[str, float], utilizations: dict[str, float]) -> list[str]:
    """The names of utilizations that are below their baseline by more than TOLERANCE."""
    return [what for what, reached in before.items() if utilizations[what] < reached * (1 - TOLERANCE)]


def key(args) -> str:
    """The name of a baseline: utilizations are comparable only for equal processor, threads and clock."""
    clock = "processor time" if args.cpu_time else "wall clock"
    return f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}, {args.threads} threads, {clock}"


def main() -> int:
    options = parser("regression", __doc__.splitlines()[0])
    options.add_argument("--update", action="store_true", help="store what is measured as the new baseline")
    args = options.parse_args()
    baselines = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    if not args.update and key(args) not in baselines:
        print(f"no baseline for {key(args)} (there are: {'; '.join(baselines) or 'none'}); store one with --update")
        return 0
    yardstick = Yardstick(args)
    if args.update:
        utilizations = medians([measure(yardstick) for _ in range(ATTEMPTS)])
        print(yardstick.describe())
        write_text(BASELINE, json.dumps({**baselines, key(args): utilizations}, indent=2) + "\n")
        print(f"stored in {BASELINE.name}: {utilizations}")
        return 0
    before, runs = baselines[key(args)], [measure(yardstick)]
    if slower_than(before, runs[0]):
        runs += [measure(yardstick) for _ in range(ATTEMPTS - 1)]
    utilizations = medians(runs)
    slower = slower_than(before, utilizations)
    print(yardstick.describe())
    print("| what | baseline | now | ratio |\n|---|---|---|---|")
    for what, reached in before.items():
        remark = " SLOWER" if what in slower else ""
        print(f"| {what} | {reached:.0%} | {utilizations[what]:.0%} | {utilizations[what] / reached:.2f}{remark} |")
    return int(bool(slower))


if __name__ == "__main__":
    sys.exit(main())
