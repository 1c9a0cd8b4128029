"""The pictures and animations of a run: PNG and GIF files in its directory, and the same in TensorBoard."""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence

import numpy as np
from tensorboard.compat.proto.summary_pb2 import Summary

from logger import animations, charts, grids, panels
from logger.catalogue import PICTURES
from logger.inputs import PictureInputs
from logger.run_directory import RunDirectory
from system.files import replacing


class Gallery:
    """Draws the pictures of a run.

    Args:
        writer: the `SummaryWriter` of the run.
        inputs: the images to draw from.
    """

    def __init__(self, run: RunDirectory, writer, model, inputs: PictureInputs):
        self.run, self.writer, self.model, self.inputs = run, writer, model, inputs
        self._order: np.ndarray | None = None  # of the latents in the last pictures, int64 [latents]

    def frame(self, step: int) -> None:
        """Store a frame of the training animation, if one is due."""
        if self._frames.due(step):
            self._frames.record(self.model, self.inputs.examples[:1], step)

    def pictures(self, step: int) -> None:
        """All pictures of the model, to TensorBoard and as PNG and GIF files."""
        start = time.perf_counter()
        drawn = panels.draw(self.model, self.inputs)
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
        for name, values in matrices.items():
            order = self._order if self._order is not None else np.arange(len(values))  # [latents]
            latents = [f"z{j}" for j in order]
            labels = (PICTURES[name].title, "latent", "factor")
            self._picture(name, charts.heat_map_picture(values[order].T, factors, latents, *labels, vmin=0), step)
        self.writer.flush()

    def _picture(self, name: str, picture: np.ndarray, step: int) -> None:
        self._image(name, grids.png_bytes(picture), picture.shape, step)

    def _image(self, name: str, encoded: bytes, shape: tuple[int, ...], step: int) -> None:
        """An encoded PNG or GIF of the catalogue, to its file and to TensorBoard."""
        entry = PICTURES[name]
        with replacing(self.run.path / entry.file) as temporary:
            temporary.write_bytes(encoded)
        image = Summary.Image(height=shape[0], width=shape[1], colorspace=3, encoded_image_string=encoded)
        summary = Summary(value=[Summary.Value(tag=entry.tag, image=image)])
        self.writer.file_writer.add_summary(summary, step)

    @functools.cached_property
    def _frames(self) -> animations.FrameRecorder:
        return animations.FrameRecorder(self.run.path)
