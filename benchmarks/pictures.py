"""What all pictures of one validation cost: python -m benchmarks.pictures [run] [rounds]

Draws, encodes and writes everything for a Lie group VAE on dSprites: with the weights of a run, or untrained. The first
round also imports what draws. Seconds of the processor are given beside those of the clock, for machines that are busy.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from argparse import Namespace

import numpy as np
import torch

from datasets import load_dataset
from logger import checkpoints, inputs
from logger.run_directory import RunDirectory
from logger.run_logger import RunLogger
from models import build_model
from models.lie_vae import LieGroupVAE


def main(run: str | None = None, rounds: int = 5) -> None:
    """Time `rounds` validations' pictures. run: a run directory on dSprites; None: fresh weights."""
    dataset = load_dataset("dsprites")
    if run:
        directory = RunDirectory.existing(run)
        model = build_model(Namespace(**directory.read_args()), dataset.channels)
        checkpoints.load_weights(model, directory.model_file)
    else:
        torch.manual_seed(0)
        model = LieGroupVAE(dataset.channels)
    index = np.random.default_rng(0).permutation(len(dataset))
    with tempfile.TemporaryDirectory() as folder:
        log = RunLogger(RunDirectory.claim(folder))
        seconds = []
        for step in range(rounds):
            start = time.perf_counter(), time.process_time()
            log.pictures(model, inputs.gather(dataset, index, "cpu"), step)
            seconds.append((time.perf_counter() - start[0], time.process_time() - start[1]))
        log.close()
    print(f"{torch.get_num_threads()} threads; seconds by the clock / of the processor")
    print("first round       {:6.2f} / {:6.2f}".format(*seconds[0]))
    print("later, median     {:6.2f} / {:6.2f}".format(*map(statistics.median, zip(*seconds[1:], strict=True))))
    print("later, least      {:6.2f} / {:6.2f}".format(*map(min, zip(*seconds[1:], strict=True))))


if __name__ == "__main__":
    main(*sys.argv[1:2], *map(int, sys.argv[2:3]))
