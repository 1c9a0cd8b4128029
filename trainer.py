"""A training run: what it is made of, in the order in which it is made, and the steps that the training loop calls.

`run` trains, `evaluate` scores. What only the main process does is in `run.recorder`, see logger/recorder.py.
"""

from __future__ import annotations

import contextlib
import math
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

import datasets
import models
from logger import checkpoints, runs
from logger.recorder import Recorder, describe, event_writer, print_paths, recording
from logger.run_directory import RunDirectory, check_log_path, for_results
from models import build_model, unread_flags
from models.vae import VAE
from system import randomness, speed
from system.command_line import CommandLine
from system.device import set_up
from system.errors import UserError
from system.processes import Group, NullObject, this_group
from system.randomness import permutation, stream_seed
from system.signals import Interruption
from training_loop import Position, Terms, draw_noise, train, train_step, validate

if TYPE_CHECKING:
    from metrics import ModelScores

REPORT_EVERY = 20  # steps; reading the loss waits for the device


def run(command: CommandLine, interruption: Interruption) -> None:
    """Start a run or continue one, train it, and score the result, as the flags say.

    Args:
        interruption: entered: it receives the signals that stop the run.
    Raises:
        UserError: a problem that the user can fix; found before the work wherever possible.
        Interrupted: a signal stopped the run; it can be resumed from its last checkpoint.
    """
    group = this_group()
    device = set_up(command.args.device, group.local_rank, command.args.num_threads)
    try:
        with group.joined(device), runs.opened(command, check_args, group) as (args, run_dir):
            if group.is_main:
                for name in unread_flags(args.model, command.given):
                    print(f"note: --{name} does nothing for --model {args.model}")
            run = Run(args, device, group, interruption, run_dir)
            with recording(run) as run.recorder, interruption.deferred():
                train(run)
    except runs.NothingToDo as reason:
        if group.is_main:
            print(reason)
    except UserError:
        if interruption.requested and group.size > 1:  # the same signal stopped the other processes first
            interruption.stop()
        raise


class Run:
    """A training run; this process trains on its part of each batch.

    Args:
        args: every flag, by its name; the seed is set.
        group: the processes that share the run.
        interruption: receives the signals that stop the run.
        run_dir: the run directory, locked; None in all processes but the main one.
    """

    def __init__(
        self,
        args: Namespace,
        device: torch.device,
        group: Group,
        interruption: Interruption,
        run_dir: RunDirectory | None,
    ):
        self.args, self.device, self.group, self.interruption = args, device, group, interruption
        self.run_dir, self.stopping = run_dir, False
        self.recorder: Recorder | NullObject = NullObject()
        args.precision = group.broadcast(lambda: speed.pick_precision(args.precision, device))
        self.speed = speed.Speed(device, args.precision)  # before data are read in the background
        self.dataset = datasets.from_args(args)
        self.eval_dataset = datasets.evaluation_from_args(args, self.dataset) if run_dir else None
        if self.eval_dataset and (args.metrics or args.end_metrics):
            from metrics import check_dataset

            check_dataset(self.eval_dataset)  # refuses factors that cannot be scored
        randomness.seed_all(args.seed)
        self.model = build_model(args, self.dataset.channels).to(device)
        self.optimisers = self.model.make_optimisers(args.learning_rate)
        split = datasets.split_indices(len(self.dataset), args.split, stream_seed(args.seed, "split"))
        self.train_index, self.validation_index = split  # int64 [n], [m]
        self.model.training_images = len(self.train_index)
        self.steps_per_epoch = math.ceil(len(self.train_index) / args.batch_size)
        all_epochs = args.epochs * self.steps_per_epoch  # steps
        self.total_steps = all_epochs if args.max_steps is None else min(all_epochs, args.max_steps)
        self.checkpoint, self.position = self._restore()
        if args.data_on_device:
            self.dataset.to_device(device)
        self.model.set_precision(args.precision)
        part = group.part(min(args.batch_size, len(self.train_index)))  # no more images than a step has here
        images = part.stop - part.start
        self.speed.flops_per_image = speed.step_flops(self.model, self.optimisers, device, images) / images
        if args.compile:
            speed.compile_model(self.model, device)
        group.average_gradients(self.optimisers.values())

    def _restore(self) -> tuple[dict | None, Position]:
        """Load the last checkpoint, if any, into model and optimisers. Returns it, and the position in training."""
        args, position = self.args, Position()
        checkpoint = self.group.broadcast(self._load_checkpoint)
        if checkpoint is not None:
            checkpoints.restore(self.model, self.optimisers, checkpoint)
            position = Position(**checkpoint["progress"])
            self._check_data(position)
            del checkpoint["model"], checkpoint["optimisers"]  # frees their memory
        elif args.base_model_path:
            from models.base_weights import start_from

            state, trained_as = checkpoints.load_base(Path(args.base_model_path), args.base_model)
            start_from(self.model, state, trained_as, args.base_model_path)
        # A command that is repeated until its run is finished numbers the steps once.
        if args.global_step is not None and (checkpoint is None or (args.load_model and not self.group.restarted)):
            position.step = args.global_step
        return checkpoint, position

    def _check_data(self, position: Position) -> None:
        """Raise UserError if the data set has another number of images than the run was trained on so far."""
        n = len(self.train_index)
        if position.images != position.epoch * n + min(position.batch * self.args.batch_size, n):
            raise UserError(
                f"the data set has {len(self.dataset):,} images now, another number than when this run was started: "
                "restore --data-path, or start a new run"
            )

    def _load_checkpoint(self) -> dict | None:
        if self.run_dir is None or self.run_dir.is_new:
            return None
        return checkpoints.load_training(self.run_dir)

    @property
    def steps_done(self) -> int:
        """Steps done, of `total_steps`; `position.step` may be numbered otherwise."""
        return self.position.epoch * self.steps_per_epoch + self.position.batch

    @property
    def finished(self) -> bool:
        """Whether all steps are done, and the last ones validated."""
        return self.steps_done >= self.total_steps and not self.position.unreported

    def rest_of_epoch(self) -> Iterator[np.ndarray]:
        """The remaining batches of this epoch: image indices, int64 `[batch]` each."""
        args, order = self.args, self.train_index
        self.speed.start()
        if args.shuffle:
            order = permutation(self.train_index, args.seed, "order", self.position.epoch)
        for start in range(self.position.batch * args.batch_size, len(order), args.batch_size):
            if self.steps_done >= self.total_steps:  # it may have been lowered since the checkpoint
                return
            yield order[start : start + args.batch_size]

    def step(self, index: np.ndarray) -> Terms:
        """One update on the images `index`, int64 `[batch]`. Returns the loss terms of this process's part."""
        n, part = len(index), self.group.part(len(index))
        x = self.dataset.batch(index[part], self.device)  # [batch, channels, height, width]
        noise = draw_noise(self.model, n, self.args.seed, self.position.step, self.device, part)
        terms = train_step(self.model, self.optimisers, x, noise, self.position.step, self.group.weight(n))
        self.position.advance(n)
        self.speed.images += n
        self.recorder.progress(n)
        return terms

    @property
    def report_due(self) -> bool:
        """Whether to report this step: every REPORT_EVERY steps, and the last one."""
        return self.steps_done % REPORT_EVERY == 0 or self.steps_done == self.total_steps

    def report(self, terms: Terms, n: int) -> None:
        """Log the loss terms of the last step, on a batch of n images."""
        self.recorder.report(self.group.mean(terms, n))

    def agree_to_save(self) -> bool:
        """Whether a checkpoint is due. Every process must call it: here they agree on whether to stop.

        With --metrics, one is due at the end of an epoch before the scores, so that steps are not lost during them.
        """
        self.stopping = self.group.any(self.interruption.requested is not None)
        due = self.args.checkpoint_steps and self.position.step % self.args.checkpoint_steps == 0
        epoch_ends = self.position.batch == self.steps_per_epoch or self.steps_done == self.total_steps
        return bool(self.stopping or due or (epoch_ends and self.args.metrics))

    def save(self) -> None:
        """Write a checkpoint; then raise Interrupted if a signal asked for it."""
        self.recorder.save()
        if self.stopping:
            self.interruption.requested = self.interruption.requested or "a signal to another process"
            self.interruption.stop()

    def end_epoch(self) -> None:
        """Validate, log, draw and score, then write a checkpoint: a run that is killed here repeats all of it."""
        self.position.end_epoch(self.steps_per_epoch)
        self.recorder.end_epoch()  # the other processes wait in the next line
        self.agree_to_save()
        self.save()

    def validate(self) -> Terms:
        """Loss terms on the held-out images, or on the training images if none are held out."""
        held_out = self.validation_index if len(self.validation_index) else self.train_index
        index = permutation(held_out, self.args.seed, "validation")
        return validate(self.model, self.dataset, index, self.args.batch_size, self.position.step, self.device)

    def score(self) -> ModelScores:
        """Disentanglement scores. They take minutes and change no state, so a signal stops them at once."""
        with self.interruption.deferred(False):
            return score(self.model, self.eval_dataset, self.args, self.device)


def load(command: CommandLine, device: torch.device):
    """The run of --log-path: directory, arguments, step (None: unknown), data set, model in evaluation mode."""
    run_dir = RunDirectory.existing(command.args.log_path)
    args = runs.evaluation(run_dir, command, models.check_args)
    if args.dataset != run_dir.read_args().get("dataset"):  # the run's data options belong to its own data set
        vars(args).update(dict.fromkeys(datasets.OPTIONS))
    datasets.check_given(command.args, command.given, args)
    datasets.check_args(args)
    kept = run_dir.weights_of(args.epoch) if args.epoch else None
    dataset = datasets.from_args(args)
    randomness.seed_all(args.seed)
    model = build_model(args, dataset.channels).to(device)
    step = None
    if kept:
        checkpoints.load_weights(model, kept)
    else:
        step = checkpoints.load_newest(model, run_dir)
    if args.data_on_device:
        dataset.to_device(device)
    return run_dir, args, step, dataset, model.eval()


def evaluate(command: CommandLine) -> None:
    """Score the run of --log-path, and draw its pictures. Raises UserError if it does not exist or is damaged."""
    from logger import scores

    group = this_group()
    device = set_up(command.args.device, group.local_rank, command.args.num_threads)
    if not group.is_main:
        return
    results = for_results(RunDirectory.existing(command.args.log_path), command.args.result_path)
    run_dir, args, step, dataset, model = load(command, device)
    print(describe(run_dir, args, dataset, device) + (f", the weights after epoch {args.epoch}" if args.epoch else ""))
    place = {"epoch": args.epoch} if args.epoch else {"step": step or 0}
    scored = score(model, dataset, args, device)
    scores.append_scores(results.evaluations_file, scored, {"run": str(run_dir.path), **place})
    if args.epoch:
        scores.write_scores(results.path / f"scores_epoch_{args.epoch}.json", scored, place)
    elif step is not None and (newer := scores.step_of(results)) > step:  # the run went on meanwhile
        print(f"note: {results.path} has scores of step {newer} by now: these are in evaluations.jsonl only")
    else:
        with contextlib.closing(event_writer(results)) as writer:
            scores.record(results, writer, scored, **place)
            if args.visualise:
                from logger.gallery import Gallery  # imports Matplotlib

                gallery = Gallery(results, writer, model, dataset, args.seed, device)
                gallery.pictures(**place)
                gallery.score_matrices(scored.matrices, dataset.factor_names, **place)
    print_paths(results, args.visualise and not args.epoch)


def score(model: VAE, dataset, args: Namespace, device: torch.device) -> ModelScores:
    """Compute and print the disentanglement scores of the mean codes of a whole data set."""
    import metrics
    from logger.scores import score_table

    model.eval()
    scored = metrics.score_model(
        model.mean_code,
        model.image,
        dataset,
        seed=args.seed,
        preset=args.metric_preset,
        bootstrap=args.bootstrap or 0,
        device=str(device),
        progress=not args.quiet,
        workers=torch.get_num_threads(),
    )
    print(score_table(scored.values, scored.protocol, args.model))
    if scored.left_out:
        print(f"note: {scored.left_out}")
    return scored


def check_args(args: Namespace) -> None:
    """Raise UserError, naming the flag and the remedy, if flags contradict one another."""
    models.check_args(args)
    datasets.check_args(args)
    check_log_path(args.log_path)
    if args.base_model_path and not Path(args.base_model_path).exists():
        raise UserError(f"--base-model-path {args.base_model_path} does not exist; name a run or its model.pt")
