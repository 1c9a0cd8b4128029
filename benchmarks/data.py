"""Images per second that a data set hands out as float tensors, and the memory that this takes.

    python -m benchmarks.data [--dsprites PATH] [--shapes3d PATH] [--only NAME] [--seconds S]

Without a path the replica is used, drawn at the first use. Three figures a data set: the first shuffled batches, with
the file as the system has it (perhaps still on the disk); one pass over all of it in order, as an evaluation makes it;
and shuffled batches after that, the median of several rounds. `anonymous` is what Linux calls RssAnon: the memory that
is not the page cache's.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

import numpy as np

from datasets import DATASETS, load_dataset
from system.errors import UserError, command_line

BATCH = 256
ROUNDS = 5
NEEDED = 12_000  # images/s: 20 times what training consumes on two cores


def anonymous_megabytes() -> float:
    """RssAnon of this process. Raises UserError where /proc does not tell."""
    status = Path("/proc/self/status")
    if not status.exists():
        raise UserError("memory is measured with /proc/self/status, which this system lacks: run it on Linux")
    line = next(line for line in status.read_text().splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) / 1e3


def images_per_second(dataset, batches, seconds: float = float("inf")) -> float:
    """How fast `dataset.batch` makes tensors of the index arrays in `batches`, until they or the `seconds` end."""
    images, start = 0, time.perf_counter()
    for index in batches:
        images += len(dataset.batch(index, "cpu"))
        if time.perf_counter() - start > seconds:
            break
    return images / (time.perf_counter() - start)


def shuffled(count: int, seed: int = 0):
    """Batches of random order, epoch after epoch."""
    rng = np.random.default_rng(seed)
    while True:
        order = rng.permutation(count)  # [count]
        yield from (order[start : start + BATCH] for start in range(0, count - BATCH + 1, BATCH))


def in_order(count: int):
    """Batches of the order of the file, once."""
    return (np.arange(start, min(start + BATCH, count)) for start in range(0, count, BATCH))


def measure(name: str, path: str | None, seconds: float) -> None:
    """Prints one data set's figures."""
    import torch  # noqa: F401  what every process has before it loads data

    empty = anonymous_megabytes()
    start = time.perf_counter()
    dataset = load_dataset(name, path)
    loaded = time.perf_counter() - start
    batches = shuffled(len(dataset))
    first = images_per_second(dataset, batches, seconds)
    whole = images_per_second(dataset, in_order(len(dataset)))
    speed = statistics.median(images_per_second(dataset, batches, seconds) for _ in range(ROUNDS))
    print(
        f"{name} ({dataset.source}, {len(dataset):,} images, ready after {loaded:.2f} s), batches of {BATCH}:\n"
        f"  shuffled {speed:,.0f} images/s, {speed / NEEDED:.1f} times the {NEEDED:,} needed; "
        f"in the first {seconds} s {first:,.0f}\n"
        f"  in order {whole:,.0f} images/s, all of it once\n"
        f"  anonymous memory {anonymous_megabytes() - empty:,.0f} MB above the {empty:,.0f} MB of torch alone"
    )


@command_line
def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.data", description=__doc__.splitlines()[0])
    for name in DATASETS:
        parser.add_argument(f"--{name}", metavar="PATH", help="its file or directory (default: the replica)")
    parser.add_argument("--only", choices=DATASETS, help="measure this data set alone")
    parser.add_argument("--seconds", type=float, default=0.5, help="length of a round (default 0.5)")
    args = parser.parse_args()
    for name in [args.only] if args.only else DATASETS:
        measure(name, getattr(args, name), args.seconds)


if __name__ == "__main__":
    sys.exit(main())
