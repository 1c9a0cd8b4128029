"""Times functions relative to a large matrix product on the same machine.

A function and the product run in turns, and each turn gives one ratio: what slows the machine down slows both. With
`--cpu-time`, the processor time of all threads of this process is measured: on a machine that others use, with one
thread, its ratios are more reliable than those of the wall clock.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from system.command_line import Parser
from system.device import keep_freed_memory
from system.speed import product

SIZE = 2048  # of the product


def parser(name: str, description: str) -> Parser:
    """The command line of `python -m benchmarks.<name>`, with the flags of every benchmark of speed."""
    parser = Parser(prog=f"python -m benchmarks.{name}", description=description)
    parser.add_argument(
        "--threads", type=int, default=torch.get_num_threads(), help="CPU threads (default: one per core)"
    )
    parser.add_argument("--cpu-time", action="store_true", help="processor time in place of the wall clock")
    parser.add_argument("--rounds", type=int, default=7, help="turns, of which the median counts (7)")
    return parser


@dataclass
class Figures:
    """Results of one function: medians over the turns."""

    seconds: float
    utilization: float  # share of the product's rate

    def row(self, flops: float, images: int) -> str:
        """Cells of a Markdown table: milliseconds, images/s, GFLOP/s, utilization."""
        speed = f"{1e3 * self.seconds:.1f} | {images / self.seconds:,.0f} | {flops / self.seconds / 1e9:.1f}"
        return f"{speed} | {self.utilization:.0%}"


class Yardstick:
    """The matrix product that functions are compared with."""

    def __init__(self, args: argparse.Namespace):
        torch.set_num_threads(args.threads)
        keep_freed_memory()
        self.clock = time.process_time if args.cpu_time else time.perf_counter
        self.rounds = args.rounds
        self.precision = getattr(args, "precision", "fp32")
        self.product = product(torch.device("cpu"), torch.bfloat16 if self.precision == "bf16" else torch.float32, SIZE)
        self.products: list[float] = []  # seconds

    def _time(self, function: Callable[[], object]) -> float:
        start = self.clock()
        function()
        return self.clock() - start

    def _product(self) -> float:
        self.products.append(self._time(self.product))
        return self.products[-1]

    def compare(self, functions: dict[str, Callable[[], object]], flops: dict[str, float]) -> dict[str, Figures]:
        """Time each function in turns with the product. flops: FLOP of one call of each function."""
        for function in functions.values():
            function()
        self._product()
        turns: dict[str, list[tuple[float, float]]] = {name: [] for name in functions}  # seconds, utilization
        for _ in range(self.rounds):
            for name, function in functions.items():
                product, taken = self._product(), self._time(function)
                turns[name].append((taken, flops[name] / taken * product / (2 * SIZE**3)))
        return {name: Figures(*map(statistics.median, zip(*figures, strict=True))) for name, figures in turns.items()}

    def describe(self) -> str:
        """One line on the machine, after the measurements."""
        rate = 2 * SIZE**3 / statistics.median(self.products) / 1e9
        clock = "processor time" if self.clock is time.process_time else "wall clock"
        threads = torch.get_num_threads()
        return (
            f"{self.precision} product {SIZE}^3: {rate:.0f} GFLOP/s, {threads} thread{'s' * (threads > 1)}, {clock}; "
            f"medians of {self.rounds} turns; torch {torch.__version__}"
        )
