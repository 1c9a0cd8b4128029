"""What only the main process of a run does: log, draw, score, write checkpoints."""

from __future__ import annotations

import contextlib
import resource
import shlex
import sys
from argparse import Namespace
from collections.abc import Iterator

import torch
from tqdm import tqdm

from logger import checkpoints, resume
from logger.run_directory import RunDirectory
from logger.run_logger import RunLogger
from system.device import environment
from system.errors import UserError
from system.files import read_json
from system.processes import NullObject


@contextlib.contextmanager
def recording(run) -> Iterator[Recorder | NullObject]:
    """Record the training of a `trainer.Run` that is done in the body; a NullObject in all processes but the main one.

    Before the body, the logs are rewound to the checkpoint; after it, the model is scored. `status.json` says whether
    the body is running, finished, interrupted or failed.
    """
    if run.run_dir is None:
        yield NullObject()
        return
    args, run_dir, position, is_new = run.args, run.run_dir, run.position, run.checkpoint is None
    recorded = {**vars(args), "data_source": run.dataset.source, "torch": str(torch.__version__)}
    if not run_dir.is_new:
        resume.check_and_rewind(run_dir, run.checkpoint, recorded, run.steps_done, run.total_steps)
    run.checkpoint = None  # frees its memory
    session = {
        "step": position.step,
        "processes": run.group.size,
        **environment(run.device, run.args.precision),
    }
    with run_dir.training(**session):
        run_dir.write_args(recorded)
        processes = f", {run.group.size} processes" if run.group.size > 1 else ""
        print(describe(run_dir, args, run.dataset, run.device) + processes)
        log = RunLogger(run_dir, resumed_at=None if is_new else position.step)
        recorder = Recorder(run, log)
        if is_new:
            log.arguments(recorded, run.model)
            recorder.save()
        with contextlib.closing(recorder.bar):  # so that an error is printed on a line of its own
            yield recorder
        recorder.finish()
    print(f"training speed     {run.speed.summary()}")
    print_paths(run_dir, args.visualise)


class Recorder:
    """Records a run in its directory: logs, pictures, scores, checkpoints.

    Args:
        run: a `trainer.Run`; its `validate` and `score` compute what is recorded.
        log: writes to the run's directory.
    """

    def __init__(self, run, log: RunLogger):
        self.run, self.log, self.bar = run, log, progress_bar(run)

    def progress(self, images: int) -> None:
        """Advance the progress bar by this many images."""
        self.bar.update(images)

    def report(self, terms: dict[str, torch.Tensor]) -> None:
        """Log the loss terms of one training step, and the speed."""
        run = self.run
        postfix = f"epoch {run.position.epoch + 1}/{run.args.epochs} loss {terms['loss']:.2f}"
        self.bar.set_postfix_str(postfix, refresh=False)
        images_per_second = run.speed.lap()
        utilization = run.speed.utilization(images_per_second)
        self.log.training(terms, images_per_second, utilization, run.position.step, run.position.images)
        if run.args.visualise:
            self.log.frame(run.model, run.picture_inputs, run.position.step)

    def end_epoch(self) -> None:
        """Validate; draw and score if the flags say so."""
        run, step = self.run, self.run.position.step
        self.log.validation(run.validate(), step, run.position.images)
        if run.args.visualise:
            self.log.pictures(run.model, run.picture_inputs, step)
        if run.args.metrics:
            self.score()

    def score(self) -> None:
        """Score the model, and log the scores."""
        run = self.run
        self.log.scored(run.score(), run.eval_dataset.factor_names, run.position.step, run.args.visualise)

    def save(self) -> None:
        """Write a checkpoint; with --keep-epochs, also keep the weights of every N-th epoch."""
        run = self.run
        position, every = run.position, run.args.keep_epochs
        keep = every and position.epoch and position.batch == 0 and position.epoch % every == 0
        kept = run.run_dir.kept_file(position.epoch) if keep else None
        logs = self.log.lengths()
        checkpoints.save(run.run_dir, run.model, run.optimisers, position.as_dict(), vars(run.args), logs, kept)

    def finish(self) -> None:
        """After the last step: the animation of the training, and the scores if --metrics has not just written them."""
        args, step = self.run.args, self.run.position.step
        if args.visualise:
            self.log.animate_training(step)
        if args.end_metrics and not (args.metrics and self.run.steps_done):
            self.score()
        else:
            self._note_older_scores()
        self.log.close()

    def _note_older_scores(self) -> None:
        """Say so if the scores of the run are not those of its last step."""
        file, protocol = self.run.run_dir.scores_file, None
        with contextlib.suppress(UserError):  # damaged: whoever reads them says so
            protocol = read_json(file).get("protocol") if file.is_file() else None
        scored = protocol.get("step") if isinstance(protocol, dict) else None
        if scored not in (None, self.run.position.step):
            print(f"note: the scores in this run are those of step {scored}: --evaluate scores its last step")


def progress_bar(run) -> tqdm:
    """Of the images that the run trains on in all epochs; hidden with --quiet."""
    images, position = len(run.train_index), run.position

    def images_after(epochs: int, steps: int) -> int:
        return epochs * images + min(steps * run.args.batch_size, images)

    total = images_after(*divmod(run.total_steps, run.steps_per_epoch))
    initial = images_after(position.epoch, position.batch)
    return tqdm(total=total, initial=initial, unit=" images", unit_scale=True, smoothing=0.1, disable=run.args.quiet)


def describe(run_dir: RunDirectory, args: Namespace, dataset, device: torch.device) -> str:
    """One line on a run: directory, model, data, seed, device."""
    data = f"{args.model} on {dataset.name} ({dataset.source})"
    return f"run {run_dir.path}: {data}, seed {args.seed}, device {device}"


def print_paths(run_dir: RunDirectory, visualise: bool) -> None:
    """The last lines of a command: where the results are, and the peak memory."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform != "darwin" else 2**30)
    print(f"log directory      {run_dir.path}")
    if run_dir.args_file.is_file() or run_dir.reference_args_file.is_file():  # not a folder of --result-path
        print(f"report             python -m logger.report {shlex.quote(str(run_dir.path))}")
    if visualise:
        print(f"traversal picture  {run_dir.path / 'traversals.png'}")
    print(f"peak memory        {peak:.2f} GB (memory-mapped data included)")
