"""Speed of a data set in images per second, and the memory that it takes.

    python -m benchmarks.data [NAME] [--data-path PATH] [--seconds S]

Without a name: the replicas of dSprites and 3D Shapes. Three speeds are measured: the first shuffled batches, for which
the file may still have to be read from the disk; one pass over all images in order, as in an evaluation; and shuffled
batches after that, the median of several rounds. Memory is Linux's RssAnon, which excludes the page cache.
"""

from __future__ import annotations

import re
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch  # noqa: F401  before the memory is measured: every process imports it

from datasets import DATASETS, load_dataset
from system.command_line import Parser, command_line

BATCH, ROUNDS = 256, 5


def own_megabytes() -> float:
    """RssAnon of this process; nan on systems without /proc."""
    status = Path("/proc/self/status")
    found = re.search(r"RssAnon:\s*(\d+)", status.read_text()) if status.exists() else None
    return int(found[1]) / 1e3 if found else float("nan")


def images_per_second(dataset, order: np.ndarray, seconds: float = float("inf")) -> float:
    """Speed of `dataset.batch` for the indices `[n]` in this order, for at most `seconds`."""
    images, start = 0, time.perf_counter()
    for first in range(0, len(order), BATCH):
        images += len(dataset.batch(order[first : first + BATCH], "cpu"))
        if time.perf_counter() - start > seconds:
            break
    return images / (time.perf_counter() - start)


def measure(name: str, path: str | None, seconds: float) -> None:
    """Prints the results for one data set."""
    empty, start = own_megabytes(), time.perf_counter()
    dataset = load_dataset(name, path)
    loaded = time.perf_counter() - start
    first, *later = (np.random.default_rng(seed).permutation(len(dataset)) for seed in range(ROUNDS + 1))
    cold = images_per_second(dataset, first, seconds)
    whole = images_per_second(dataset, np.arange(len(dataset)))
    speed = statistics.median(images_per_second(dataset, order, seconds) for order in later)
    print(
        f"{name} ({dataset.source}, {len(dataset):,} images, ready after {loaded:.2f} s), batches of {BATCH}:\n"
        f"  shuffled {speed:,.0f} images/s; in the first {seconds} s {cold:,.0f}; in order, all of it, {whole:,.0f}\n"
        f"  memory {own_megabytes() - empty:,.0f} MB above the {empty:,.0f} MB of torch alone"
    )


@command_line
def main() -> None:
    parser = Parser(prog="python -m benchmarks.data", description=__doc__.splitlines()[0])
    parser.add_argument("dataset", nargs="?", choices=DATASETS, metavar="NAME", help="a data set [both replicas]")
    parser.add_argument("--data-path", metavar="PATH", help="its file or folder [the replica]")
    parser.add_argument("--seconds", type=float, default=0.5, help="length of a round [0.5]")
    args = parser.parse_args()
    for name in [args.dataset] if args.dataset else ["dsprites", "shapes3d"]:
        measure(name, args.data_path, args.seconds)


if __name__ == "__main__":
    sys.exit(main())
