"""What the main process does for a run besides training it."""

from __future__ import annotations

import contextlib
import resource
import sys
from argparse import Namespace
from collections.abc import Iterator

import torch

from logger import checkpoints, resume
from logger.run_directory import RunDirectory
from logger.run_logger import RunLogger
from system import machine


class Record:
    """What the main process does for a run besides training it: log, draw, score, write checkpoints.

    Args:
        run: a `trainer.Run`, which validates and scores itself.
    """

    def __init__(self, run, log: RunLogger):
        self.run, self.log = run, log

    @classmethod
    @contextlib.contextmanager
    def opened(cls, run) -> Iterator[Record]:
        """Write in the run's directory, taken back to its checkpoint; scores and paths follow the body.

        `status.json` says how the body went.
        """
        args, run_dir, position, is_new = run.args, run.run_dir, run.position, run.checkpoint is None
        recorded = {**vars(args), "data_source": run.dataset.source, "torch": str(torch.__version__)}
        if not run_dir.is_new:
            resume.prepare(run_dir, run.checkpoint, recorded, run.done, run.planned)
        run.checkpoint = None  # it was needed up to here
        with run_dir.training(step=position.step, **machine.circumstances(run.device, run.args.precision)):
            run_dir.write_args(recorded)
            processes = f", {run.group.size} processes" if run.group.size > 1 else ""
            print(describe(run_dir, args, run.dataset, run.device) + processes)
            log = RunLogger(run_dir, resumed_at=None if is_new else position.step)
            record = cls(run, log)
            if is_new:
                log.arguments(recorded, run.model)
                record.save()
            yield record
            record.finish()
        print(f"training speed     {run.speed.summary()}")
        print_paths(run_dir, args.visualise)

    def report(self, terms: dict[str, torch.Tensor], images_per_second: float) -> None:
        """The terms of one training step."""
        run = self.run
        utilization = run.speed.lap(images_per_second)
        self.log.training(terms, images_per_second, utilization, run.position.step, run.position.images)
        if run.args.visualise:
            self.log.frame(run.model, run.picture_inputs, run.position.step)

    def end_epoch(self) -> None:
        """Validate; draw and score where that is wanted."""
        run, step = self.run, self.run.position.step
        self.log.validation(run.validate(), step, run.position.images)
        if run.args.visualise:
            self.log.pictures(run.model, run.picture_inputs, step)
        if run.args.metrics:
            self.score()

    def score(self) -> None:
        """Score the model, and write it down."""
        run = self.run
        self.log.scored(run.score(), run.scored_on.factor_names, run.position.step, run.args.visualise)

    def save(self) -> None:
        """Write a checkpoint of the run as it stands."""
        run = self.run
        position, every = run.position, run.args.keep_epochs
        due = every and position.epoch and position.batch == 0 and position.epoch % every == 0
        kept = run.run_dir.kept_file(position.epoch) if due else None
        logs = self.log.lengths()
        checkpoints.save(run.run_dir, run.model, run.optimisers, position.as_dict(), vars(run.args), logs, kept)

    def finish(self) -> None:
        """After the last step: the animation of the training, and the scores, unless the last epoch was scored."""
        args, step = self.run.args, self.run.position.step
        self.run.bar.close()
        if args.visualise:
            self.log.animate_training(step)
        if args.end_metrics and not (args.metrics and step):
            self.score()
        self.log.close()


def describe(run_dir: RunDirectory, args: Namespace, dataset, device: torch.device) -> str:
    """One line: which run, on what, where."""
    data = f"{args.model} on {dataset.name} ({dataset.source})"
    return f"run {run_dir.path}: {data}, seed {args.seed}, device {device}"


def print_paths(run_dir: RunDirectory, visualise: bool) -> None:
    """The last lines of a command: where the results lie, and how much memory it took."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform != "darwin" else 2**30)
    print(f"log directory      {run_dir.path}")
    if run_dir.args_file.is_file() or run_dir.reference_args_file.is_file():  # not where --result-path leads
        print(f"report             python -m logger.report {run_dir.path}")
    if visualise:
        print(f"traversal picture  {run_dir.path / 'traversals.png'}")
    print(f"peak memory        {peak:.2f} GB (memory-mapped data included)")
