"""What a run writes while it is trained: losses, pictures, scores, checkpoints. Only the main process writes."""

from __future__ import annotations

import contextlib
import csv
import functools
import resource
import shlex
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch
from tqdm import tqdm

from logger import checkpoints
from logger.reading import read_scores
from logger.run_directory import RunDirectory
from system.device import environment
from system.errors import UserError
from system.processes import Group

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

    from logger.gallery import Gallery

PICTURES_EVERY = 500  # steps, if an epoch has fewer: drawing takes seconds
LONG = 0.5  # hours; a longer training is told at its start
COLUMNS = ("step", "epoch", "images", "tag", "value")  # of scalars.csv


def in_main_process(method):
    """Makes a method of `Log` do nothing where there is no run directory: in all processes but the main one."""

    @functools.wraps(method)
    def wrapped(self, *args):
        return method(self, *args) if self.writes else None

    return wrapped


class ScalarWriter:
    """Writes numbers to TensorBoard, under the names of `board.shown`, and to scalars.csv; pictures to TensorBoard.

    Args:
        at: the `training_loop.Position`, from which scalars.csv takes epochs and images; None: they are not known.
    """

    def __init__(self, run_dir: RunDirectory, at=None):
        from torch.utils.tensorboard import SummaryWriter  # imports TensorBoard: slow

        from logger import board

        older = run_dir.metrics_file.exists() and not run_dir.scalars_file.exists()  # a run of an older version
        # Without purge_step: `rewind` has cut later steps, and TensorBoard would drop curves over images seen.
        self.tensorboard: SummaryWriter = SummaryWriter(str(run_dir.path))
        self.board, self.described = board, set[str]()  # tags
        self.at, self.file = at, None
        if not older:
            self.file = open(run_dir.scalars_file, "a", encoding="utf-8", newline="")  # noqa: SIM115
            self.rows = csv.writer(self.file, lineterminator="\n")
            if self.file.tell() == 0:
                self.rows.writerow(COLUMNS)

    def add_scalar(self, tag: str, value: float, step: int) -> None:
        """Add one number."""
        self.show(tag, value, step)
        if self.file:
            at = self.at
            place = (f"{at.steps_done / at.steps_per_epoch:.6g}", at.images) if at else ("", "")
            self.rows.writerow((step, *place, tag, value))

    def show(self, tag: str, value: float, step: int) -> None:
        """Add one number to TensorBoard alone; a run of an older version keeps its names there."""
        if not self.file:
            self.tensorboard.add_scalar(tag, value, step)
            return
        summary = self.board.scalar(tag, value, described=tag not in self.described)
        self.described.add(tag)
        self.tensorboard.file_writer.add_summary(summary, step)  # type: ignore[attr-defined]  # declared as None

    def flush(self) -> None:
        """Hand everything to the system."""
        self.tensorboard.flush()
        if self.file:
            self.file.flush()

    def close(self) -> None:
        """Flush, and close the files."""
        self.tensorboard.close()
        if self.file:
            self.file.close()


class Log:
    """Records a run in its directory and in TensorBoard: losses, pictures, scores, checkpoints.

    Tags are grouped: `train/`, `validation/`, `kl_per_latent/`, ... log_metrics.txt holds validation losses as
    `metric/<term>` and scores as `dmetric/<score>`.

    Args:
        run_dir: None in all processes but the main one: every method then does nothing.
        at: the `training_loop.Position`, which the loop advances.
        speed: a `system.speed.Speed`.
    """

    def __init__(self, run_dir: RunDirectory | None, args: Namespace, at, model, optimisers, dataset, device, speed):
        self.writes = run_dir is not None
        self.run_dir: RunDirectory = run_dir  # type: ignore[assignment]  # used only where it writes
        self.args, self.at = args, at
        self.model, self.optimisers, self.dataset = model, optimisers, dataset
        self.device, self.speed = device, speed

    @contextlib.contextmanager
    def opened(self, checkpoint: dict | None, group: Group, record: dict) -> Iterator[None]:
        """Record the training that is done in the body, after `checkpoint`, to which the logs are rewound.

        `status.json` says whether the body is running, finished, interrupted or failed.
        """
        if not self.writes:
            yield
            return
        args, run_dir, at = self.args, self.run_dir, self.at
        recorded = {**vars(args), "data_source": self.dataset.source, "torch": str(torch.__version__)}
        if not run_dir.is_new:
            was_finished = run_dir.state() == "finished"
            checkpoints.check_and_rewind(run_dir, checkpoint, recorded, at.steps_done, at.total_steps)
            if was_finished:  # its scores were logged after its last checkpoint: a kill now must not cut them
                self.save()
        shared = {"launch": group.launch} if group.size > 1 else {}
        machine = environment(self.device, args.precision)
        with run_dir.training(step=at.step, processes=group.size, **shared, **machine, **record):
            run_dir.write_args(recorded)
            processes = f", {group.size} processes" if group.size > 1 else ""
            print(describe(run_dir, args, self.dataset, self.device) + processes)
            hours = self.speed.expected(at.n * at.total_steps / at.steps_per_epoch - at.images) / 3600
            if hours > LONG:
                print(f"note: this takes some {hours:.1f} hours here: --max-steps or --epochs make it shorter")
            self.writer, self.bar = ScalarWriter(run_dir, at), progress_bar(at, args.quiet)
            if checkpoint is None:
                self.writer.board.write_arguments(self.writer.tensorboard, recorded, self.model, record)
                self.save()
            with contextlib.closing(self.writer), contextlib.closing(self.bar):  # an error gets a line of its own
                yield
        print(f"training speed     {self.speed.summary()}")
        print_paths(run_dir, args.visualise)

    @functools.cached_property
    def gallery(self) -> Gallery:
        """Draws the pictures of the run."""
        from logger.gallery import Gallery  # only for runs with pictures

        return Gallery(self.run_dir, self.writer, self.model, self.dataset, self.device)

    @in_main_process
    def progress(self, images: int) -> None:
        """Count one step on this many images."""
        self.speed.images += images
        self.bar.update(images)

    @in_main_process
    def training(self, terms: dict[str, torch.Tensor]) -> None:
        """Log the loss terms of one training step, and the speed."""
        at, step = self.at, self.at.step
        epochs = f"/{self.args.epochs}" if self.args.max_steps is None else ""
        self.bar.set_postfix_str(f"epoch {at.epoch + 1}{epochs} loss {terms['loss']:.2f}", refresh=False)
        images_per_second = self.speed.lap()
        self._scalars("train", terms)
        self.writer.add_scalar("speed/images_per_second", images_per_second, step)
        self.writer.add_scalar("speed/utilization", self.speed.utilization(images_per_second), step)

    @in_main_process
    def end_epoch(self, validate: Callable[[], dict[str, torch.Tensor]], score: Callable) -> None:
        """Validate; draw and score if the flags say so."""
        terms, step = validate(), self.at.step
        self._scalars("validation", terms)
        self.writer.add_scalar("progress/epochs", self.at.steps_done / self.at.steps_per_epoch, step)
        self.run_dir.append_metrics({f"metric/{name}": term.item() for name, term in terms.items() if term.dim() == 0})
        self.writer.flush()
        if self._pictures_due():
            self.gallery.pictures(step)
        if self.args.metrics:
            self._score(score)

    def _pictures_due(self) -> bool:
        """Whether to draw at the end of this epoch: each time PICTURES_EVERY more steps are done, and at the end."""
        done = self.at.steps_done
        before = max(done - self.at.steps_per_epoch, 0)
        return self.args.visualise and (self.at.finished or done // PICTURES_EVERY > before // PICTURES_EVERY)

    def _score(self, score: Callable) -> None:
        from logger import scores  # imports every metric

        scored = score()
        scores.record(self.run_dir, self.writer, scored, self.at.step)
        if self.args.visualise:
            self.gallery.score_matrices(scored.matrices, list(scored.codes.get("factor_names", ())), self.at.step)

    @in_main_process
    def save(self) -> None:
        """Write a checkpoint; with --keep-epochs, also keep the weights of every N-th epoch."""
        at, every = self.at, self.args.keep_epochs
        keep = every and at.epoch and at.batch == 0 and at.epoch % every == 0
        kept = self.run_dir.kept_file(at.epoch) if keep else None
        if hasattr(self, "writer"):  # not before the logs are open
            self.writer.flush()
        checkpoints.save(self.run_dir, self.model, self.optimisers, at.as_dict(), vars(self.args), kept)

    @in_main_process
    def finish(self, score: Callable) -> None:
        """After the last step: the scores, if --metrics has not just written them."""
        self.bar.close()
        scored_step = self._scored_step()
        if self.args.end_metrics and not (self.args.metrics and scored_step == self.at.step):
            self._score(score)
        elif scored_step not in (None, self.at.step):
            print(f"note: the scores in this run are those of step {scored_step}: --evaluate scores its last step")

    def _scored_step(self) -> int | None:
        """The step of the scores in this run; None if there are none."""
        with contextlib.suppress(UserError):  # damaged: whoever reads them says so
            return read_scores(self.run_dir.scores_file)[1].get("step")
        return None

    def _scalars(self, group: str, terms: dict[str, torch.Tensor]) -> None:
        for name, term in terms.items():
            if term.dim() == 0:
                self.writer.add_scalar(f"{group}/{name}", term.item(), self.at.step)
                if name in self.writer.board.CURVES:  # scalars.csv has a column for it
                    self.writer.show(f"{group}_by_images_seen/{name}", term.item(), self.at.images)
            else:
                for i, value in enumerate(term.tolist()):
                    self.writer.add_scalar(f"{group}_{name}/{i:02d}", value, self.at.step)


def progress_bar(at, quiet: bool) -> tqdm:
    """Of the images that the run trains on in all epochs; hidden with --quiet."""
    epochs, steps = divmod(at.total_steps, at.steps_per_epoch)
    total = epochs * at.n + steps * at.batch_size
    return tqdm(total=total, initial=at.images, unit=" images", unit_scale=True, smoothing=0.1, disable=quiet)


def describe(run_dir: RunDirectory, args: Namespace, dataset, device: torch.device) -> str:
    """One line on a run: directory, model, data, seed, device."""
    data = f"{args.model} on {dataset.name} ({dataset.source})"
    return f"run {run_dir.path}: {data}, seed {args.seed}, device {device}"


def print_paths(run_dir: RunDirectory, visualise: bool) -> None:
    """The last lines of a command: where the results are, and the peak memory."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform != "darwin" else 2**30)
    print(f"log directory      {run_dir.path}")
    if run_dir.is_run:  # not a folder of --result-path
        print(f"report             python -m logger.report {shlex.quote(str(run_dir.path))}")
    if visualise:
        print(f"traversal picture  {run_dir.path / 'traversals.png'}")
    print(f"peak memory        {peak:.2f} GB (memory-mapped data included)")
