"""What each change to a training step brought: the step built up from PyTorch's defaults, all variants by turns.

    python -m benchmarks.changes [--threads N] [--cpu-time] [--only NAME]

Each line adds one change to those above it. Freed memory is kept by the whole process or not at all: the lines before
that change run in a process of their own.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import torch

from benchmarks.measure import Yardstick, parser
from benchmarks.train_step import CONFIGURATIONS, Case
from models.kernels import fast_ops
from system import machine

# In the order in which they were made; a variant has all up to its own.
CHANGES = ("PyTorch's defaults", "channels-last", "kernels that fit", "pieces of 64 images", "freed memory kept")
CHANGES += ("fused Adam", "the exponential")
KEPT = CHANGES.index("freed memory kept")
WHOLE = 1 << 30  # images a piece: never cut


@contextlib.contextmanager
def with_changes(count: int) -> Iterator[None]:
    """The code as it was with the first `count` changes after the defaults."""
    with contextlib.ExitStack() as stack:
        if count < CHANGES.index("kernels that fit"):
            stack.enter_context(patch.object(fast_ops, "fused", lambda x: False))
        if count < CHANGES.index("pieces of 64 images"):
            stack.enter_context(patch.object(fast_ops, "PIECE", WHOLE))
        if count < CHANGES.index("the exponential"):
            stack.enter_context(patch("models.lie_algebra.matrix_exp", torch.matrix_exp))
        yield


class Variant(Case):
    """A case that steps and encodes with the first `count` changes."""

    def __init__(self, flags: list[str], count: int):
        super().__init__(flags)
        self.count = count
        if count < CHANGES.index("channels-last"):
            self.model.to(memory_format=torch.contiguous_format)
            self.x = self.x.contiguous()  # [batch, channels, 64, 64]
        if count < CHANGES.index("fused Adam"):
            rate = self.args.learning_rate
            self.optimisers = {"vae": torch.optim.Adam(self.model.parameters(), lr=rate, foreach=False)}

    def step(self) -> None:
        with with_changes(self.count):
            super().step()

    def encode(self) -> None:
        with with_changes(self.count):
            super().encode()


def main() -> int:
    options = parser(__doc__.splitlines()[0], rounds=5)
    options.prog = f"python -m benchmarks.{Path(__file__).stem}"
    options.add_argument("--only", choices=list(CONFIGURATIONS)[:2], default="lie_group dsprites")
    options.add_argument("--before-kept", action="store_true", help="only the variants before freed memory was kept")
    args = options.parse_args()
    before = args.before_kept
    if before:
        machine.keep_freed_memory = lambda: None
    else:
        print("| change | step | encoding |\n|---|---|---|", flush=True)
        subprocess.run([sys.executable, "-m", "benchmarks.changes", *sys.argv[1:], "--before-kept"], check=True)
    yardstick = Yardstick(args)
    counts = range(KEPT) if before else range(KEPT, len(CHANGES))
    variants = {count: Variant(CONFIGURATIONS[args.only], count) for count in counts}
    flops = variants[counts[0]].flops()
    functions = {f"{what} {n}": getattr(v, what) for n, v in variants.items() for what in ("step", "encode")}
    figures = yardstick.compare(functions, {name: flops[name.split()[0]] for name in functions})
    for count in counts:
        step, encode = figures[f"step {count}"], figures[f"encode {count}"]
        print(f"| {'+ ' * (count > 1)}{CHANGES[count]} | {step.share:.0%} | {encode.share:.0%} |", flush=True)
    if not before:
        print(yardstick.describe())
    return 0


if __name__ == "__main__":
    sys.exit(main())
