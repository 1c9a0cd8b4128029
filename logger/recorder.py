"""What only the main process of a run does: log, draw, score, write checkpoints."""

from __future__ import annotations

import contextlib
import functools
import re
import resource
import shlex
import sys
from argparse import Namespace
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from tqdm import tqdm

from logger import checkpoints
from logger.reading import EPOCHS, read_scores
from logger.run_directory import RunDirectory
from system.device import environment
from system.errors import UserError
from system.processes import NullObject
from system.roles import tells_apart

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

    from logger.gallery import Gallery

CURVES = ("loss", "recon", "kl")  # terms that TensorBoard also shows by images seen
PICTURES_EVERY = 500  # steps, if an epoch has fewer: drawing takes seconds
# What the comparison view shows of a run, besides scores.
LOSSES = ("validation/loss", "validation/recon", "validation/kl")
DIAGNOSTICS = ("algebra/decomposition_error_relative", "equivariance_error/mean")


@contextlib.contextmanager
def recording(run) -> Iterator[Recorder | NullObject]:
    """Record the training of a `trainer.Run` that is done in the body; a NullObject in all processes but the main one.

    Before the body, the logs are rewound to the checkpoint; after it, the model is scored. `status.json` says whether
    the body is running, finished, interrupted or failed.
    """
    if run.run_dir is None:
        yield NullObject()
        return
    args, run_dir = run.args, run.run_dir
    recorded = {**vars(args), "data_source": run.dataset.source, "torch": str(torch.__version__)}
    if not run_dir.is_new:
        was_finished = run_dir.state() == "finished"
        checkpoints.check_and_rewind(run_dir, run.checkpoint, recorded, run.steps_done, run.total_steps)
        if was_finished:  # its scores were logged after its last checkpoint: a kill of this session must not cut them
            checkpoints.save(run_dir, run.model, run.optimisers, run.position.as_dict(), vars(args))
    machine = environment(run.device, args.precision)
    shared = {"launch": run.group.launch} if run.group.size > 1 else {}
    with run_dir.training(step=run.position.step, processes=run.group.size, **shared, **machine):
        run_dir.write_args(recorded)
        processes = f", {run.group.size} processes" if run.group.size > 1 else ""
        print(describe(run_dir, args, run.dataset, run.device) + processes)
        recorder = Recorder(run)
        if run.checkpoint is None:
            write_arguments(recorder.writer, recorded, run.model)
            recorder.save()
        with contextlib.closing(recorder.bar):  # so that an error is printed on a line of its own
            yield recorder
        recorder.finish()
    print(f"training speed     {run.speed.summary()}")
    print_paths(run_dir, args.visualise)


class Recorder:
    """Records a run in its directory and in TensorBoard: losses, pictures, scores, checkpoints.

    Tags are grouped: `train/`, `validation/`, `kl_per_latent/`, ... log_metrics.txt holds validation losses as
    `metric/<term>` and scores as `dmetric/<score>`.

    Args:
        run: a `trainer.Run`; its `validate` and `score` compute what is recorded.
    """

    def __init__(self, run):
        self.run, self.writer, self.bar = run, event_writer(run.run_dir), progress_bar(run)

    @functools.cached_property
    def gallery(self) -> Gallery:
        """Draws the pictures of the run."""
        from logger.gallery import Gallery  # only for runs with pictures

        run = self.run
        return Gallery(run.run_dir, self.writer, run.model, run.dataset, run.args.seed, run.device)

    def progress(self, images: int) -> None:
        """Advance the progress bar by this many images."""
        self.bar.update(images)

    def report(self, terms: dict[str, torch.Tensor]) -> None:
        """Log the loss terms of one training step, and the speed."""
        run, step = self.run, self.run.position.step
        postfix = f"epoch {run.position.epoch + 1}/{run.args.epochs} loss {terms['loss']:.2f}"
        self.bar.set_postfix_str(postfix, refresh=False)
        images_per_second = run.speed.lap()
        self._scalars("train", terms)
        self.writer.add_scalar("speed/images_per_second", images_per_second, step)
        self.writer.add_scalar("speed/utilization", run.speed.utilization(images_per_second), step)

    def end_epoch(self) -> None:
        """Validate; draw and score if the flags say so."""
        run = self.run
        terms = run.validate()
        self._scalars("validation", terms)
        epochs = run.steps_done / run.steps_per_epoch
        self.writer.add_scalar(EPOCHS, epochs, run.position.step)
        run.run_dir.append_metrics({f"metric/{name}": term.item() for name, term in terms.items() if term.dim() == 0})
        self.writer.flush()
        if self._pictures_due():
            self.gallery.pictures(run.position.step)
        if run.args.metrics:
            self.score()

    def _pictures_due(self) -> bool:
        """Whether to draw at the end of this epoch: each time PICTURES_EVERY more steps are done, and at the end."""
        run, done = self.run, self.run.steps_done
        before = max(done - run.steps_per_epoch, 0)
        return run.args.visualise and (run.finished or done // PICTURES_EVERY > before // PICTURES_EVERY)

    def score(self) -> None:
        """Score the model, and log the scores."""
        from logger import scores  # imports every metric

        run, step, scored = self.run, self.run.position.step, self.run.score()
        scores.record(run.run_dir, self.writer, scored, step)
        if run.args.visualise:
            self.gallery.score_matrices(scored.matrices, run.eval_dataset.factor_names, step)

    def save(self) -> None:
        """Write a checkpoint; with --keep-epochs, also keep the weights of every N-th epoch."""
        run, position, every = self.run, self.run.position, self.run.args.keep_epochs
        keep = every and position.epoch and position.batch == 0 and position.epoch % every == 0
        kept = run.run_dir.kept_file(position.epoch) if keep else None
        self.writer.flush()
        checkpoints.save(run.run_dir, run.model, run.optimisers, position.as_dict(), vars(run.args), kept)

    def finish(self) -> None:
        """After the last step: the scores, if --metrics has not just written them."""
        run, args = self.run, self.run.args
        scored_step = self._scored_step()
        if args.end_metrics and not (args.metrics and scored_step == run.position.step):
            self.score()
        elif scored_step not in (None, run.position.step):
            print(f"note: the scores in this run are those of step {scored_step}: --evaluate scores its last step")
        self.writer.close()

    def _scored_step(self) -> int | None:
        """The step of the scores in this run; None if there are none."""
        with contextlib.suppress(UserError):  # damaged: whoever reads them says so
            return read_scores(self.run.run_dir.scores_file)[1].get("step")
        return None

    def _scalars(self, group: str, terms: dict[str, torch.Tensor]) -> None:
        step, images = self.run.position.step, self.run.position.images
        for name, term in terms.items():
            if term.dim() == 0:
                self.writer.add_scalar(f"{group}/{name}", term.item(), step)
                if name in CURVES:
                    self.writer.add_scalar(f"{group}_by_images_seen/{name}", term.item(), images)
            else:
                for i, value in enumerate(term.tolist()):
                    self.writer.add_scalar(f"{group}_{name}/{i:02d}", value, step)


def event_writer(run_dir: RunDirectory) -> SummaryWriter:
    """Writes the event file of a run, or of one session of it, for TensorBoard."""
    from torch.utils.tensorboard import SummaryWriter  # imports TensorBoard: slow

    # Without purge_step: `rewind` has cut later steps, and TensorBoard would drop curves over images seen.
    return SummaryWriter(str(run_dir.path))


def write_arguments(writer: SummaryWriter, args: dict, model: torch.nn.Module) -> None:
    """Tables of the arguments and of the parameter counts of the model's parts; and the HPARAMS view."""
    rows = "\n".join(f"| {name} | `{value}` |" for name, value in sorted(args.items()))
    writer.add_text("run/arguments", f"| argument | value |\n|---|---|\n{rows}")
    if args.get("split") == 0:
        writer.add_text(
            "run/validation", "No image is held out (--split 0): curves `validation/...` are of training images."
        )
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()}
    counts["total"] = sum(p.numel() for p in model.parameters())
    rows = "\n".join(f"| {name} | {count:,} |" for name, count in counts.items())
    writer.add_text("run/parameters", f"| part | parameters |\n|---|---|\n{rows}")
    _write_comparison(writer, args, model)


def _write_comparison(writer: SummaryWriter, args: dict, model: torch.nn.Module) -> None:
    """Add the run to TensorBoard's comparison view (HPARAMS), which reads the metrics from the run's own scalars.

    By default the view shows five arguments, first those marked as differing. The mark is read from one run, which does
    not know what differs in a sweep, so it is set on model, dataset, seed, and two weights of the loss or training
    settings. `SummaryWriter.add_hparams` would write a second run.
    """
    from tensorboard.plugins.hparams import metadata
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
    from torch.utils.tensorboard.summary import hparams

    values = {
        name: value if isinstance(value, bool) else float(value) if isinstance(value, int | float) else str(value)
        for name, value in sorted(args.items())
        if tells_apart(name)
    }
    weights = [name for name in re.findall(r"\w+", getattr(model, "equation", "")) if name in args and name != "beta"]
    first = {"model", "dataset", "seed", *[*weights, "learning_rate", "batch_size"][:2]}
    summaries = hparams(values, dict.fromkeys(_compared_scalars(args), 0.0))
    described = summaries[0].value[0].metadata  # of the experiment; the others start and end the session
    experiment = metadata.parse_experiment_plugin_data(described.plugin_data.content)
    for info in experiment.hparam_infos:
        info.differs = info.name in first
    described.CopyFrom(metadata.create_summary_metadata(HParamsPluginData(experiment=experiment)))
    for summary in summaries:
        writer.file_writer.add_summary(summary)  # type: ignore[attr-defined]  # torch declares it as None


def _compared_scalars(args: dict) -> list[str]:
    """Tags of the scalars in the comparison view; the paper's scores come first, if the run is scored."""
    scores = []
    if args["metrics"] or args["end_metrics"]:
        from metrics.info import HEADLINES, SCORES

        scores = [f"dmetric/{key}" for key in HEADLINES if SCORES[key].better]
    return [*scores, *LOSSES, *DIAGNOSTICS]


def progress_bar(run) -> tqdm:
    """Of the images that the run trains on in all epochs; hidden with --quiet."""
    epochs, steps = divmod(run.total_steps, run.steps_per_epoch)
    total, done = epochs * len(run.train_index) + steps * run.args.batch_size, run.position.images
    return tqdm(total=total, initial=done, unit=" images", unit_scale=True, smoothing=0.1, disable=run.args.quiet)


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
