"""The table of docs/metrics.md: every metric on five codes made by hand, whose quality is known.

    python -m benchmarks.metric_codes [--write docs/metrics.md] [--workers N]

It takes some minutes, nearly all of them in the trees of DCI. `--write` replaces what stands between the two markers.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

import metrics
from system.errors import UserError, command_line
from system.files import write_text

FACTOR_SIZES = (5, 6, 7, 8, 9)
NOISE = 0.02
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"


class Codes:
    """A grid data set whose "images" are codes `[n, d]`."""

    factor_sizes = FACTOR_SIZES

    def __init__(self, codes: np.ndarray):
        self.codes = torch.from_numpy(codes.astype(np.float32))

    def __len__(self) -> int:
        return int(np.prod(FACTOR_SIZES))

    def index_to_factors(self, index: np.ndarray) -> np.ndarray:
        """`[n]` -> `[n, k]`."""
        return np.stack(np.unravel_index(index, FACTOR_SIZES), axis=-1)

    def batch(self, index: np.ndarray, device: str = "cpu") -> torch.Tensor:
        """`[n]` -> codes `[n, d]`."""
        return self.codes[index].to(device)


def make_codes(seed: int) -> dict[str, np.ndarray]:
    """Five codes `[n, d]` of all factor combinations; another seed stands for another training run."""
    rng = np.random.default_rng(seed)
    sizes = np.array(FACTOR_SIZES)
    factors = np.stack(np.unravel_index(np.arange(np.prod(sizes)), FACTOR_SIZES), axis=-1)  # [n, k]
    u = (factors - (sizes - 1) / 2) / (sizes / np.sqrt(12))  # [n, k], deviation about 1
    rotation = np.linalg.qr(rng.standard_normal((len(sizes), len(sizes))))[0]
    clean = {
        "ideal": u,
        "rotated": u @ rotation,
        "redundant": np.concatenate([u, u], axis=1),
        "independent": rng.standard_normal(u.shape),
        "collapsed": np.zeros_like(u),
    }
    return {
        name: code + NOISE * rng.standard_normal(code.shape) * (name != "collapsed") for name, code in clean.items()
    }


def scores(workers: int | None) -> dict[str, dict[str, float]]:
    """Code -> name -> value, by the full protocol; UDR between two runs."""
    first, second = make_codes(0), make_codes(1)
    columns = {}
    for name, codes in first.items():
        columns[name] = metrics.evaluate(lambda z: z, Codes(codes), batch_size=100_000, workers=workers)
        columns[name]["UDR"] = metrics.udr([codes, second[name]])["UDR"]
    return columns


def markdown(columns: dict[str, dict[str, float]]) -> str:
    """The table, one logged name a line."""
    lines = [f"| logged name | {' | '.join(columns)} | how to read it |", "|---|" + "---:|" * len(columns) + "---|"]
    for name, score in metrics.scores().items():
        if all(name in column for column in columns.values()):  # no decoder belongs to these codes
            values = " | ".join(f"{column[name]:.2f}" for column in columns.values())
            lines.append(f"| `{name}` | {values} | {score.reading} |")
    return "\n".join(lines)


@command_line
def main() -> None:
    """Prints the table, or writes it into a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", type=Path, metavar="FILE", help="file with the two markers")
    parser.add_argument("--workers", type=int, help="processes for DCI (default: one per core)")
    args = parser.parse_args()
    before, _, rest = (args.write.read_text(encoding="utf-8") if args.write else BEGIN + END).partition(BEGIN)
    _, marker, after = rest.partition(END)
    if not marker:
        raise UserError(f"{args.write}: lacks the markers {BEGIN} and {END}")
    table = markdown(scores(args.workers))
    if args.write:
        write_text(args.write, f"{before}{BEGIN}\n{table}\n{END}{after}")
    else:
        print(table)


if __name__ == "__main__":
    sys.exit(main())
