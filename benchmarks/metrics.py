"""Time of every metric on a data set of the size of dSprites, and the time to encode its images.

    python -m benchmarks.metrics [--preset full] [--encode N] [--data-path DIR] [--no-dci]

The codes are synthetic: each factor in one latent, with noise. The encoder, a convolutional network of the model's size
with random weights, is timed separately, on N images of the data set (0: all). CPU time, of this process and its
children, depends less on other work on the machine than the wall clock.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable

import numpy as np
from joblib.externals.loky import get_reusable_executor

from metrics import METRICS, PRESETS, encode, evaluate
from system.command_line import Parser, command_line

FACTOR_SIZES = (3, 6, 40, 32, 32)
LATENTS = 10


def synthetic() -> tuple[np.ndarray, np.ndarray]:
    """Codes `[n, 10]` and factors `[n, 5]` of dSprites' 737,280 combinations."""
    factors = np.indices(FACTOR_SIZES).reshape(len(FACTOR_SIZES), -1).T  # [n, 5]
    sizes = np.array(FACTOR_SIZES)
    codes = np.random.default_rng(0).standard_normal((len(factors), LATENTS), dtype=np.float32)  # [n, 10]
    codes[:, :5] = (factors - (sizes - 1) / 2) / (sizes / np.sqrt(12)) + 0.1 * codes[:, :5]
    return codes, factors


def timed(function: Callable) -> tuple[float, float]:
    """Wall-clock and CPU seconds of one call; the latter of this process and its children."""
    wall, cpu = time.perf_counter(), sum(os.times()[:4])
    function()
    get_reusable_executor().shutdown(wait=True)  # the CPU time of worker processes counts once they have ended
    return time.perf_counter() - wall, sum(os.times()[:4]) - cpu


def encoding(images: int, data_path: str | None) -> None:
    """Prints the encoder's rate on random images, and the time that all images take at this rate. images: 0 for all."""
    from datasets import load_dataset
    from models.networks import channels_last, conv_encoder

    dataset = load_dataset("dsprites", data_path)
    encoder = channels_last(conv_encoder(dataset.channels, LATENTS).eval())
    index = np.sort(np.random.default_rng(0).choice(len(dataset), images or len(dataset), replace=False))
    wall, cpu = timed(lambda: encode(encoder, dataset, index, progress=True))
    print(f"encode {len(index)} images: {wall:.1f} s, {len(index) / wall:.0f} images/s, CPU {cpu:.1f} s")
    print(f"  at that rate all {len(dataset)} images take {wall * len(dataset) / len(index):.0f} s")


@command_line
def main() -> None:
    """Prints one line per metric, then totals and the peak memory."""
    parser = Parser(prog="python -m benchmarks.metrics", description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="full", choices=list(PRESETS))
    parser.add_argument("--encode", type=int, default=20_000, metavar="N", help="images to time the encoder on; 0: all")
    parser.add_argument("--data-path", help="directory of the official dSprites file (default: the replica)")
    parser.add_argument("--no-dci", action="store_true", help="leave out the boosted trees")
    args = parser.parse_args()
    codes, factors = synthetic()
    evaluate(codes[:50], np.arange(50)[:, None] % 2, ["beta_vae"], preset="fast")  # imports
    total = np.zeros(2)
    print(f"{'metric':20} {'wall s':>8} {'CPU s':>8}")
    for name in METRICS:
        if METRICS[name].needs != "decoder" and not (args.no_dci and name == "dci"):
            spent = timed(lambda: evaluate(codes, factors, [name], preset=args.preset))  # noqa: B023
            total += spent
            print(f"{name:20} {spent[0]:8.2f} {spent[1]:8.2f}", flush=True)
    print(f"{'all':20} {total[0]:8.2f} {total[1]:8.2f}")
    encoding(args.encode, args.data_path)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    sys.exit(main())
