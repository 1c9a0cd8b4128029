"""Writes the numbers and pictures of a run: TensorBoard, log_metrics.txt, PNG and GIF files."""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from logger import hparams
from logger.catalogue import PICTURES
from logger.resume import log_lengths
from logger.run_directory import RunDirectory
from system.files import replacing

if TYPE_CHECKING:
    from logger.animations import FrameRecorder

CURVES = ("loss", "recon", "kl")  # terms that TensorBoard also shows by images seen


class RunLogger:
    """Logs one run in its directory. Tags are grouped: `train/`, `validation/`, `kl_per_latent/`, ...

    log_metrics.txt holds validation losses as `metric/<term>` and scores as `dmetric/<score>`.

    Args:
        resumed_at: the step of the checkpoint that the run resumes from; TensorBoard then discards later steps.
    """

    def __init__(self, run: RunDirectory, resumed_at: int | None = None):
        from torch.utils.tensorboard import SummaryWriter  # imports TensorBoard: slow

        self.run = run
        self.writer = SummaryWriter(str(run.path), purge_step=None if resumed_at is None else resumed_at + 1)
        self._order: np.ndarray | None = None  # of the latents in the last pictures, int64 [latents]

    def arguments(self, args: dict, model: torch.nn.Module) -> None:
        """Tables of the arguments and of the parameter counts of the model's parts; and the HPARAMS view."""
        rows = "\n".join(f"| {name} | `{value}` |" for name, value in sorted(args.items()))
        self.writer.add_text("run/arguments", f"| argument | value |\n|---|---|\n{rows}")
        counts = {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()}
        counts["total"] = sum(p.numel() for p in model.parameters())
        rows = "\n".join(f"| {name} | {count:,} |" for name, count in counts.items())
        self.writer.add_text("run/parameters", f"| part | parameters |\n|---|---|\n{rows}")
        hparams.write(self.writer, args, hparams.first_columns(model, args))

    def training(
        self, terms: dict[str, torch.Tensor], images_per_second: float, utilization: float, step: int, images: int
    ) -> None:
        """Loss terms of one training step, and the speed.

        Args:
            utilization: FLOP/s relative to those of a large matrix product, see `system.speed`.
            images: total images trained on.
        """
        self._scalars("train", terms, step, images)
        self.writer.add_scalar("speed/images_per_second", images_per_second, step)
        self.writer.add_scalar("speed/utilization", utilization, step)

    def validation(self, terms: dict[str, torch.Tensor], step: int, images: int) -> None:
        """Loss terms averaged over the validation batches."""
        self._scalars("validation", terms, step, images)
        self.run.append_metrics({f"metric/{name}": term.item() for name, term in terms.items() if term.dim() == 0})
        self.writer.flush()

    def scored(self, scored, factors: Sequence[str], step: int, draw: bool) -> None:
        """A `metrics.ModelScores`: scores and their protocol to scores.json, mean codes to codes.npz.

        With `draw`, also the matrices behind the scores. `python -m metrics` reads codes.npz.
        """
        from logger.scores import write_scores  # imports every metric

        for name, value in scored.values.items():
            self.writer.add_scalar(f"dmetric/{name}", value, step)
        self.run.append_metrics({f"dmetric/{name}": value for name, value in scored.values.items()})
        write_scores(self.run.scores_file, scored.values, {**scored.protocol, "step": step})
        self.writer.flush()
        if draw:
            self.score_matrices(scored.matrices, factors, step)
        with replacing(self.run.codes_file) as temporary, temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **scored.codes)

    def frame(self, model, inputs, step: int) -> None:
        """Store a frame of the training animation, if one is due. inputs: `logger.inputs.PictureInputs`."""
        if self._frames.due(step):
            self._frames.record(model, inputs.examples[:1], step)

    def pictures(self, model, inputs, step: int) -> None:
        """All pictures of the model, to TensorBoard and as PNG and GIF files. inputs: `logger.inputs.PictureInputs`."""
        from logger import animations, grids, panels  # only for runs with pictures

        start = time.perf_counter()
        drawn = panels.draw(model, inputs)
        self._order = drawn.order
        for name, picture in drawn.pictures.items():
            self._picture(name, picture, step)
        for tag, value in drawn.scalars.items():
            self.writer.add_scalar(tag, value, step)
        for tag, text in drawn.texts.items():
            self.writer.add_text(tag, text, step)
        animation = grids.gif_bytes(drawn.frames, animations.SWEEP)
        self._image("traversal_animation", animation, drawn.frames[0].shape, step)
        self.writer.add_scalar("speed/seconds_for_pictures", time.perf_counter() - start, step)
        self.writer.flush()

    def animate_training(self, step: int) -> None:
        """Write the training animation, if frames were stored."""
        from logger import animations, grids

        frames = self._frames.read()
        if frames:
            animation = grids.gif_bytes(frames, animations.TRAINING, animations.PAUSE)
            self._image("training_animation", animation, frames[0].shape, step)

    def score_matrices(self, matrices: dict[str, np.ndarray], factors: Sequence[str], step: int) -> None:
        """Heat maps of the matrices that scores are computed from, with one row per factor.

        Latents are in the order of the last pictures, or by number if there are none.

        Args:
            matrices: catalogue name -> float `[latents, factors]`.
        """
        from logger import charts

        for name, values in matrices.items():
            order = self._order if self._order is not None else np.arange(len(values))  # [latents]
            latents = [f"z{j}" for j in order]
            labels = (PICTURES[name].title, "latent", "factor")
            self._picture(name, charts.heat_map_picture(values[order].T, factors, latents, *labels, vmin=0), step)
        self.writer.flush()

    def lengths(self) -> dict[str, int]:
        """Flush all logs to the disk. Returns the length in bytes of every log file, by its name."""
        self.writer.flush()
        return log_lengths(self.run)

    def close(self) -> None:
        """Flush and close the event file."""
        self.writer.close()

    def _scalars(self, group: str, terms: dict[str, torch.Tensor], step: int, images: int) -> None:
        for name, term in terms.items():
            if term.dim() == 0:
                self.writer.add_scalar(f"{group}/{name}", term.item(), step)
                if name in CURVES:
                    self.writer.add_scalar(f"{group}_by_images_seen/{name}", term.item(), images)
            else:
                for i, value in enumerate(term.tolist()):
                    self.writer.add_scalar(f"{group}_{name}/{i:02d}", value, step)

    def _picture(self, name: str, picture: np.ndarray, step: int) -> None:
        from logger import grids

        self._image(name, grids.png_bytes(picture), picture.shape, step)

    def _image(self, name: str, encoded: bytes, shape: tuple[int, ...], step: int) -> None:
        """An encoded PNG or GIF of the catalogue, to its file and to TensorBoard."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        entry = PICTURES[name]
        with replacing(self.run.path / entry.file) as temporary:
            temporary.write_bytes(encoded)
        image = Summary.Image(height=shape[0], width=shape[1], colorspace=3, encoded_image_string=encoded)
        summary = Summary(value=[Summary.Value(tag=entry.tag, image=image)])
        self.writer.file_writer.add_summary(summary, step)  # type: ignore[attr-defined]  # torch declares it as None

    @functools.cached_property
    def _frames(self) -> FrameRecorder:
        from logger.animations import FrameRecorder

        return FrameRecorder(self.run.path)
