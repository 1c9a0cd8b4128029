"""A run: what it is made of, in the order in which it is made, and what it does when the training loop asks.

Read `Run` first. Every process of a run has one; what only the main process does is behind its `record`, see
logger/record.py.
"""

from __future__ import annotations

import contextlib
import functools
import math
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from tqdm import tqdm

import datasets
from logger import arguments, checkpoints, inputs, resume
from logger.record import Record, describe, print_paths
from logger.run_directory import RunDirectory, check_log_path, for_results
from logger.run_logger import RunLogger
from models import build_model, model_class, unread_flags
from models.vae import VAE
from system import machine, randomness
from system.errors import UserError
from system.flags import CommandLine
from system.processes import Group, Nothing
from system.signals import Interruption
from training_loop import Position, Terms, draw_noise, permutation, stream_seed, train, train_step, validate

if TYPE_CHECKING:
    from metrics import ModelScores

REPORT_EVERY = 20  # steps between two looks at the loss: each look waits for the device


def run(command: CommandLine) -> None:
    """Train as the flags say, in a new run directory or on from a checkpoint, and score the result.

    Raises:
        UserError: what the user can fix, before any work where it can.
        Interrupted: the process was asked to stop, and the run can be continued from its checkpoint.
    """
    group, device = _machine(command.args)
    with Interruption() as interruption:
        try:
            with group.joined(device):
                args, run_dir = resume.agree(command, check_args, group)
                for name in unread_flags(args.model, command.given_to_models) if group.is_main else ():
                    print(f"note: --{name} does nothing for --model {args.model}")
                train_run(args, run_dir, device, group, interruption)
        except resume.NothingToDo as reason:
            print(reason)
        except UserError:
            if interruption.requested and group.size > 1:  # the others went first
                interruption.stop()
            raise


def train_run(args: Namespace, run_dir: RunDirectory | None, device, group: Group, interruption: Interruption) -> None:
    """Build the run, train it, and write down what comes of it in the directory, held until then."""
    with run_dir.held() if run_dir else contextlib.nullcontext():
        run = Run(args, device, group, interruption, run_dir)
        opened = Record.opened(run) if run_dir else contextlib.nullcontext(Nothing())
        with opened as run.record, interruption.deferred():
            train(run)


def _machine(args: Namespace) -> tuple[Group, torch.device]:
    """The processes that work together, and the device of this one, with threads and memory set as the flags say."""
    machine.set_threads(args.num_threads)
    machine.keep_freed_memory()
    group = Group()
    return group, machine.pick_device(args.device, group.local_rank)


class Run:
    """A training run on this process's part of every batch.

    Args:
        args: the command line's namespace, with a seed.
        group: the processes of the run.
        interruption: hears the signals that stop it.
        run_dir: where it is written, held; None in the other processes.
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
        self.record: Record | Nothing = Nothing()
        sessions = run_dir.sessions() if run_dir else []
        args.precision = group.broadcast(lambda: machine.pick_precision(args.precision, device, sessions))
        # Now: large data are read ahead in the background once opened.
        product_rate = machine.product_rate(device, args.precision)
        self.dataset = datasets.from_args(args)
        self.scored_on = datasets.evaluation_from_args(args, self.dataset) if run_dir else None
        randomness.seed_all(args.seed)
        self.model = build_model(args, self.dataset.channels).to(device)
        self.optimisers = self.model.make_optimisers(args.learning_rate)
        self.train_index, self.validation_index = datasets.split_indices(  # int64 [n], [m]
            len(self.dataset), args.split, stream_seed(args.seed, "split")
        )
        self.model.training_images = len(self.train_index)
        self.batches = math.ceil(len(self.train_index) / args.batch_size)  # of an epoch
        self.planned = args.epochs * self.batches  # steps of the whole run
        if args.max_steps is not None:
            self.planned = min(self.planned, args.max_steps)
        self.checkpoint, self.position = self._restored()
        if args.data_on_device:
            self.dataset.to_device(device)
        machine.set_precision(self.model, args.precision, device)
        self.speed = machine.Speed(self.model, self.optimisers, device, args.batch_size, product_rate, args.precision)
        if args.compile:  # on a GPU, launching hundreds of small operations takes longer than doing them
            self.model.compile(mode="reduce-overhead" if device.type == "cuda" else None)
        group.average_gradients(self.optimisers.values())
        self.bar = self._progress_bar()

    def _restored(self) -> tuple[dict | None, Position]:
        """The checkpoint that the run goes on from, put into model and optimisers, and where it stands."""
        args, run_dir, most = self.args, self.run_dir, {"batch": self.batches}
        checkpoint = self.group.broadcast(
            lambda: (
                checkpoints.load_training(run_dir, self.model, self.optimisers, Position().as_dict(), most)
                if run_dir
                else None
            )
        )
        position = Position()
        if checkpoint is not None:
            checkpoints.restore(self.model, self.optimisers, checkpoint)
            position = Position(**checkpoint["progress"])
        elif args.base_model_path:
            from models.base_weights import start_from

            state, trained_as = checkpoints.load_base(Path(args.base_model_path), args.base_model)
            start_from(self.model, state, trained_as, args.base_model_path)
        if args.global_step is not None:
            position.step = args.global_step
        return checkpoint, position

    @property
    def done(self) -> int:
        """Steps done, of those planned."""
        return self.position.done(self.batches)

    @property
    def finished(self) -> bool:
        """Whether all steps are done, and validated."""
        return self.done >= self.planned and not self.position.unreported

    def rest_of_epoch(self) -> Iterator[np.ndarray]:
        """The batches still to be trained on in this epoch: indices of images, int64 `[batch]` each."""
        args, order = self.args, self.train_index
        if args.shuffle:
            order = permutation(self.train_index, args.seed, "order", self.position.epoch)
        for start in range(self.position.batch * args.batch_size, len(order), args.batch_size):
            if self.done == self.planned:
                return
            yield order[start : start + args.batch_size]

    def step(self, index: np.ndarray) -> Terms:
        """One update on the images at `index`, int64 `[batch]`. Returns the loss terms of this process's part."""
        n, part = len(index), self.group.part(len(index))
        x = self.dataset.batch(index[part], self.device)  # [batch, channels, height, width]
        noise = draw_noise(self.model, n, self.args.seed, self.position.step, self.device, part)
        terms = train_step(self.model, self.optimisers, x, noise, self.position.step, self.group.weight(n))
        self.position.advance(n)
        self.bar.update(n)
        return terms

    @property
    def report_due(self) -> bool:
        """Every REPORT_EVERY steps, and after the last one."""
        return self.done % REPORT_EVERY == 0 or self.done == self.planned

    def report(self, terms: Terms, n: int, images_per_second: float) -> None:
        """Log the terms of the last step, whose batch held n images."""
        terms = self.group.mean(terms, n)
        postfix = f"epoch {self.position.epoch + 1}/{self.args.epochs} loss {terms['loss']:.2f}"
        self.bar.set_postfix_str(postfix, refresh=False)
        self.record.report(terms, images_per_second)

    def agree_to_save(self) -> bool:
        """Whether a checkpoint is due: the processes agree here on whether to stop, so all must call it.

        Before slow scores a checkpoint is written as well as after, so that no step is lost to them.
        """
        self.stopping = self.group.any(self.interruption.requested is not None)
        due = self.args.checkpoint_steps and self.position.step % self.args.checkpoint_steps == 0
        epoch_ends = self.position.batch == self.batches or self.done == self.planned
        return bool(self.stopping or due or (epoch_ends and self.args.metrics))

    def save(self) -> None:
        """Write a checkpoint; then raise Interrupted, where that was agreed."""
        self.record.save()
        if self.stopping:
            self.interruption.requested = self.interruption.requested or "a signal to another process"
            self.interruption.stop()

    def end_epoch(self) -> None:
        """Validate, log, draw and score before the checkpoint: a run that dies on the way does all of it again."""
        self.position.end_epoch(self.batches)
        self.record.end_epoch()  # the other processes wait in the next line
        self.agree_to_save()
        self.save()

    def validate(self) -> Terms:
        """Loss terms on images held out; where there are none, on those trained on."""
        held_out = self.validation_index if len(self.validation_index) else self.train_index
        index = permutation(held_out, self.args.seed, "validation")
        return validate(self.model, self.dataset, index, self.args.batch_size, self.position.step, self.device)

    def score(self) -> ModelScores:
        """Scores take minutes and keep no state: a signal stops them at once."""
        with self.interruption.deferred(False):
            return score(self.model, self.scored_on, self.args, self.device)

    @functools.cached_property
    def picture_inputs(self) -> inputs.PictureInputs:
        """The images that all pictures of the run are drawn from."""
        return picture_inputs(self.dataset, self.args.seed, self.device)

    def _progress_bar(self) -> tqdm:
        """Over images; no bar where another process draws it."""
        images = len(self.train_index)
        full_epochs, rest = divmod(self.planned, self.batches)
        total = full_epochs * images + min(rest * self.args.batch_size, images)
        initial = self.position.epoch * images + min(self.position.batch * self.args.batch_size, images)
        hidden = self.args.quiet or not self.group.is_main
        return tqdm(total=total, initial=initial, unit=" images", unit_scale=True, smoothing=0.1, disable=hidden)


def load(command: CommandLine, device: torch.device):
    """What --evaluate works with, as --log-path and --epoch name it.

    Returns the run's directory, where to write results, its arguments, its data set, and its model in evaluation mode.
    """
    run_dir = RunDirectory.existing(command.args.log_path)
    args = arguments.evaluation(run_dir, command, lambda found: model_class(found.model).check_args(found))
    if args.dataset != run_dir.read_args().get("dataset"):  # what chose among the forms of the one means nothing here
        vars(args).update(dict.fromkeys(datasets.OPTIONS))
    datasets.check_args(args)
    weights, results = run_dir.weights_file(args.epoch), for_results(run_dir, args.result_path)
    dataset = datasets.from_args(args)
    randomness.seed_all(args.seed)
    model = build_model(args, dataset.channels).to(device)
    checkpoints.load_weights(model, weights)
    if args.data_on_device:
        dataset.to_device(device)
    return run_dir, results, args, dataset, model.eval()


def evaluate(command: CommandLine) -> None:
    """Score and draw the run that --log-path names; its arguments and weights come from the run.

    Raises UserError as `load`.
    """
    from logger.scores import append_scores, write_scores

    group, device = _machine(command.args)
    if not group.is_main:
        return
    run_dir, results, args, dataset, model = load(command, device)
    print(describe(run_dir, args, dataset, device) + (f", the weights after epoch {args.epoch}" if args.epoch else ""))
    scored = score(model, dataset, args, device)
    if args.epoch is None:
        # The authors' runs have no checkpoint.
        checkpoint = checkpoints.load_training(run_dir, model, None, Position().as_dict())
        step = checkpoint["progress"]["step"] if checkpoint else 0
        if checkpoint and run_dir.state() != "finished" and results is run_dir:
            print("note: this run is unfinished; when it goes on, these scores stay in evaluations.jsonl alone")
        log = RunLogger(results)
        if args.visualise:  # first: they say in which order latents stand
            log.pictures(model, picture_inputs(dataset, args.seed, device), step)
        log.scored(scored, dataset.factor_names, step, args.visualise)
        log.close()
        place = {"step": step}
    else:
        place = {"epoch": args.epoch}
        write_scores(results.path / f"scores_epoch_{args.epoch}.json", scored.values, {**scored.protocol, **place})
    append_scores(results.evaluations_file, scored.values, {**scored.protocol, "run": str(run_dir.path), **place})
    print_paths(results, args.visualise and args.epoch is None)


def score(model: VAE, dataset, args: Namespace, device: torch.device) -> ModelScores:
    """Disentanglement scores of the mean codes of a whole data set, shown on the screen."""
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
    model.train()
    print(score_table(scored.values, scored.protocol, args.model))
    if scored.left_out:
        print(f"note: {scored.left_out}")
    return scored


def picture_inputs(dataset, seed: int, device: torch.device) -> inputs.PictureInputs:
    """The images that pictures are drawn from: the first of a random order that belongs to the seed."""
    return inputs.gather(dataset, permutation(np.arange(len(dataset)), seed, "pictures"), device)


def check_args(args: Namespace) -> None:
    """Refuse contradictions among the flags, before any work. Raises UserError naming the flag and the remedy."""
    model_class(args.model).check_args(args)
    datasets.check_args(args)
    check_log_path(args.log_path)
    if args.base_model_path and not Path(args.base_model_path).exists():
        raise UserError(f"--base-model-path {args.base_model_path} does not exist; name a run or its model.pt")
