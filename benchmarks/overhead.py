"""What a run of `main.py` does between its training steps: data, noise, log and progress bar, as a share of a step.

    python -m benchmarks.overhead [--steps 100] [--only NAME] [--threads N]

The published commands on the replicas, in a folder that is removed again. The time from the end of a step to the start
of the next one is counted; validation, pictures and scores come after the last step and are left out.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

import main as command_line
import training_loop
from benchmarks.train_step import DSPRITES, SHAPES3D

CONFIGURATIONS = {"dsprites": DSPRITES, "shapes3d": SHAPES3D}


def stamps(flags: list[str]) -> list[tuple[float, float]]:
    """When each step of a run began and ended, in seconds."""
    times = []

    def timed_step(*args) -> dict:
        start = time.perf_counter()
        terms = training_loop.train_step(*args)
        times.append((start, time.perf_counter()))
        return terms

    with tempfile.TemporaryDirectory() as folder, patch("assembly.train_step", timed_step):
        status = command_line.main([*flags, f"--log-path={folder}"])
    if status:
        sys.exit(status)
    return times


def main() -> int:
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{Path(__file__).stem}", description=__doc__)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--only", choices=CONFIGURATIONS)
    parser.add_argument("--threads", type=int)
    args = parser.parse_args()
    common = [f"--max-steps={args.steps}", "--seed=0", "--end-metrics=no", "--visualise=no"]
    if args.threads:
        common.append(f"--num-threads={args.threads}")
    lines = []
    for name in [args.only] if args.only else CONFIGURATIONS:
        times = stamps([*CONFIGURATIONS[name], *common])
        steps = [end - start for start, end in times]
        gaps = [start - end for (_, end), (start, _) in zip(times, times[1:], strict=False)]
        step, gap = statistics.median(steps), statistics.median(gaps)
        mean = sum(gaps) / len(gaps) / step  # reports, every 20 steps, are in the mean and not in the median
        lines.append(f"| {name} | {1e3 * step:.0f} | {1e3 * gap:.1f} | {gap / step:.1%} | {mean:.1%} |")
    print("| data set | step, ms | between two, ms | of a step | mean, reports included |\n|---|---|---|---|---|")
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
