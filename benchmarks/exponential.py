"""The matrix exponential and its derivative: time, and share of a training step, by matrix size and subgroups.

    python -m benchmarks.exponential [--threads N] [--cpu-time] [--batch 256]

Prints a Markdown table: forward and derivative, with the sum over the basis, by `torch.matrix_exp` and as the step has
them, in turn. The share before is that in a step which is longer by the difference.
"""

from __future__ import annotations

import sys
from pathlib import Path
from unittest.mock import patch

import torch

from benchmarks.measure import Yardstick, parser
from benchmarks.train_step import DSPRITES, Case
from models.lie_algebra import LieAlgebra

# m, subgroups: one of each size, and then more of them, two latents each.
CASES = [(10, 1), (20, 1), (30, 1), (40, 1), (4, 4), (4, 16), (4, 64), (10, 4), (10, 16)]
LATENTS = 10  # of a single subgroup


def main() -> int:
    options = parser(__doc__.splitlines()[0], rounds=5)
    options.prog = f"python -m benchmarks.{Path(__file__).stem}"
    options.add_argument("--batch", type=int, default=256, help="codes a call (256)")
    args = options.parse_args()
    yardstick = Yardstick(args)
    print("| m | subgroups | latents | `torch.matrix_exp`, ms | here, ms | step, ms | share of it, before | after |")
    print("|---|---|---|---|---|---|---|---|")
    for m, subgroups in CASES:
        each = LATENTS if subgroups == 1 else 2
        sizes, latents = [m * m] * subgroups, [each] * subgroups
        flags = [f"--subgroup_sizes_ls={sizes}", f"--subspace_sizes_ls={latents}", f"--latents={sum(latents)}"]
        case = Case([*DSPRITES, f"--batch-size={args.batch}", *flags])
        torch.manual_seed(0)
        algebra = LieAlgebra(sizes, latents, init_scale=0.05)
        z = torch.randn(args.batch, sum(latents), requires_grad=True)  # [batch, latents]
        weights = torch.randn(args.batch, sum(sizes))  # [batch, sum(m * m)]

        def exponential(algebra=algebra, z=z, weights=weights) -> None:
            (algebra.group_feats(z) * weights).sum().backward()

        def by_torch(exponential=exponential) -> None:
            with patch("models.lie_algebra.matrix_exp", torch.matrix_exp):
                exponential()

        functions = {"torch": by_torch, "exp": exponential, "step": case.step}
        seconds = {what: f.seconds for what, f in yardstick.compare(functions, dict.fromkeys(functions, 0.0)).items()}
        torchs, exp, step = (seconds[what] for what in functions)
        before = torchs / (step - exp + torchs)
        print(
            f"| {m} | {subgroups} | {sum(latents)} | {1e3 * torchs:.1f} | {1e3 * exp:.1f} | {1e3 * step:.0f} | "
            f"{before:.0%} | {exp / step:.0%} |",
            flush=True,
        )
    print(yardstick.describe())
    return 0


if __name__ == "__main__":
    sys.exit(main())
