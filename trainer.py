"""`train`: what a run is made of, in the order in which it is made, then the loop. `evaluate`: the scores of a run.

What is written goes through `Log`, which does nothing in processes other than the main one (logger/log.py).
"""

from __future__ import annotations

import contextlib
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

import datasets
import models
from logger import checkpoints, runs
from logger.log import Log, ScalarWriter, describe, print_paths
from logger.run_directory import RunDirectory, check_log_path, for_results
from models import build_model, unread_flags
from models.vae import VAE
from system import randomness, speed
from system.command_line import CommandLine
from system.device import set_up
from system.errors import UserError
from system.processes import Group
from system.randomness import permutation, stream_seed
from system.signals import Interruption
from training_loop import Position, Terms, check_finite, draw_noise, train_step, validate

if TYPE_CHECKING:
    from metrics import ModelScores


def run(command: CommandLine, interruption: Interruption) -> None:
    """Start a run or continue one, train it, and score the result, as the flags say.

    Args:
        interruption: entered: it receives the signals that stop the run.
    Raises:
        UserError: a problem that the user can fix; found before the work wherever possible.
        Interrupted: a signal stopped the run; it can be resumed from its last checkpoint.
    """
    group = Group()
    device = set_up(command.args.device, group.local_rank, command.args.num_threads)
    try:
        with group.joined(device), runs.opened(command, check_args, group) as (args, run_dir):
            for name in unread_flags(args.model, command.given) if run_dir else ():
                print(f"note: --{name} does nothing for --model {args.model}")
            record = {"command": command.typed, "changed": dict(command.changed)}
            train(args, run_dir, device, group, interruption, record)
    except runs.NothingToDo as reason:
        if group.is_main:
            print(reason)
    except UserError:
        if interruption.requested and group.size > 1:  # the same signal stopped the other processes first
            interruption.stop()
        raise


def train(
    args: Namespace,
    run_dir: RunDirectory | None,
    device: torch.device,
    group: Group,
    interruption: Interruption,
    record: dict,
) -> None:
    """Train a run from its last checkpoint, or from the start, to its end.

    Args:
        args: every flag, by its name; the seed is set.
        run_dir: the run directory, locked; None in all processes but the main one.
        device, group: this process trains on its part of each batch, on this device.
        record: further plain data on this session, for status.json.
    """
    args.precision = group.broadcast(lambda: speed.pick_precision(args.precision, device))
    measured = speed.Speed(device, args.precision, group.size)  # before data are read in the background
    dataset = datasets.from_args(args)
    scored_on = _scored_on(args, dataset) if run_dir else None

    randomness.seed_all(args.seed)
    model = build_model(args, dataset.channels).to(device)
    optimisers = model.make_optimisers(args.learning_rate)
    train_index, held_out = datasets.split_indices(len(dataset), args.split, stream_seed(args.seed, "split"))
    model.training_images = len(train_index)  # int64 [n]; held_out [m]

    at = Position(len(train_index), args.batch_size, args.epochs, args.max_steps)
    checkpoint = group.broadcast(lambda: checkpoints.load_training(run_dir) if run_dir else None)
    _restore(args, model, optimisers, at, checkpoint, group)
    _place(dataset, args.data_on_device, device)
    model.set_precision(args.precision)
    images = len(range(at.n)[group.part(min(at.n, args.batch_size))])  # of a step, in this process
    measured.flops_per_image = speed.step_flops(model, optimisers, device, images) / images
    if args.compile:
        speed.compile_model(model, device)
    group.average_gradients(optimisers.values())

    log = Log(run_dir, args, at, model, optimisers, dataset, device, measured)
    unchecked: list[tuple[int, Terms]] = []  # step and terms

    def save_if(due: bool) -> None:
        """Write a checkpoint if it is due, or if a signal reached any process: then stop, too. Called by all."""
        stopping = group.any(interruption.requested is not None)
        if due or stopping:
            check_finite(unchecked)
            log.save()
        if stopping:
            interruption.requested = interruption.requested or "a signal to another process"
            interruption.stop()

    def validation() -> Terms:
        index = permutation(held_out if len(held_out) else train_index, args.seed, "validation")
        return validate(model, dataset, index, args.batch_size, at.step, device)

    def scores() -> ModelScores:
        with interruption.deferred(False):  # they take minutes and change no state: a signal stops them at once
            return score(model, scored_on, args, device)

    with log.opened(checkpoint, group, {**record, "equation": model.trained_equation()}), interruption.deferred():
        while not at.finished:
            measured.start()
            for index in at.batches(train_index, args.seed, args.shuffle):  # int64 [batch]
                n, part = len(index), group.part(len(index))
                x = dataset.batch(index[part], device)  # [batch, channels, height, width]
                noise = draw_noise(model, n, args.seed, at.step, device, part)
                unchecked.append((at.step + 1, train_step(model, optimisers, x, noise, at.step, group.weight(n))))
                at.advance(n)
                log.progress(n)
                if at.report_due:
                    terms = unchecked[-1][1]
                    check_finite(unchecked)
                    log.training(group.mean(terms, n))
                due = args.checkpoint_steps and at.step % args.checkpoint_steps == 0
                save_if(due or (at.epoch_ends and args.metrics))  # so that no step is lost during the scores
            check_finite(unchecked)
            at.end_epoch()
            log.end_epoch(validation, scores)  # the other processes wait in the next line
            save_if(True)  # after all of it: a run that is killed here repeats it
        log.finish(scores)


def _scored_on(args: Namespace, dataset):
    """The data set to score on. Raises UserError if its factors cannot be scored."""
    found = datasets.evaluation_from_args(args, dataset)
    if args.metrics or args.end_metrics:
        from metrics import check_dataset

        check_dataset(found)
    return found


def _restore(args: Namespace, model: VAE, optimisers: dict, at: Position, checkpoint: dict | None, group) -> None:
    """Go on from the last checkpoint, if any; else from the weights of --base-model-path, if it is given."""
    if checkpoint is not None:
        checkpoints.restore(model, optimisers, checkpoint)
        at.restore(checkpoint["progress"])
        del checkpoint["model"], checkpoint["optimisers"]  # frees their memory
    elif args.base_model_path:
        from models.base_weights import start_from

        state, trained_as = checkpoints.load_base(Path(args.base_model_path), args.base_model)
        start_from(model, state, trained_as, args.base_model_path)
    # A command that is repeated until its run is finished numbers the steps once.
    if args.global_step is not None and (checkpoint is None or (args.load_model and not group.restarted)):
        at.step = args.global_step


def _place(dataset, on_device: bool | str, device: torch.device) -> None:
    """Copy the images to the device, if the flag says so, or by itself to a GPU that has room."""
    if on_device == "auto" and dataset.fits(device):
        print("images are copied to the GPU's memory (--data-on-device no: they stay on the disk)")
        on_device = True
    if on_device is True:
        dataset.to_device(device)


def load(command: CommandLine, device: torch.device):
    """The run of --log-path: directory, arguments, step (None: unknown), data set, model in evaluation mode."""
    run_dir = RunDirectory.existing(command.args.log_path)
    args = runs.evaluation(run_dir, command, models.check_args)
    if args.dataset != run_dir.read_args().get("dataset"):  # the run's data options belong to its own data set
        vars(args).update(dict.fromkeys(datasets.OPTIONS))
    datasets.check_given(command.args, command.given, args)
    datasets.check_args(args)
    kept, step = run_dir.weights_of(args.epoch) if args.epoch else None, None
    dataset = datasets.from_args(args)
    randomness.seed_all(args.seed)
    model = build_model(args, dataset.channels).to(device)
    if kept:
        checkpoints.load_weights(model, kept)
    else:
        step = checkpoints.load_newest(model, run_dir)
    _place(dataset, args.data_on_device, device)
    return run_dir, args, step, dataset, model.eval()


def evaluate(command: CommandLine) -> None:
    """Score the run of --log-path, and draw its pictures. Raises UserError if it does not exist or is damaged."""
    from logger import scores

    group = Group()
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
        with contextlib.closing(ScalarWriter(results)) as writer:
            scores.record(results, writer, scored, **place)
            if args.visualise:
                from logger.gallery import Gallery  # imports Matplotlib

                gallery = Gallery(results, writer, model, dataset, device)
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
