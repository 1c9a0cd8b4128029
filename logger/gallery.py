"""The pictures of a run: PNG files in its directory, and the same in TensorBoard."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import torch
from tensorboard.compat.proto.summary_pb2 import Summary

from logger import charts, grids, panels, pictures
from logger.catalogue import PICTURES
from logger.run_directory import RunDirectory
from system.files import replacing


class Gallery:
    """Draws the pictures of a run.

    Args:
        writer: the `logger.log.ScalarWriter` of the run.
        dataset, device: what the images to draw from are read by, see `pictures.gather`.
    """

    def __init__(self, run: RunDirectory, writer, model, dataset, device: torch.device):
        self.run, self.writer, self.model = run, writer, model
        self.inputs = pictures.gather(dataset, device)

    def pictures(self, step: int) -> None:
        """All pictures of the model, to TensorBoard and as PNG files."""
        start = time.perf_counter()
        drawn = panels.draw(self.model, self.inputs)
        for name, picture in drawn.pictures.items():
            self._picture(name, picture, step)
        for tag, value in drawn.scalars.items():
            self.writer.add_scalar(tag, value, step)
        for tag, text in drawn.texts.items():
            self.writer.tensorboard.add_text(tag, text, step)
        self.writer.add_scalar("speed/seconds_for_pictures", time.perf_counter() - start, step)
        self.writer.flush()

    def score_matrices(self, matrices: dict[str, np.ndarray], factors: Sequence[str], step: int) -> None:
        """Heat maps of the matrices that scores are computed from, with one row per factor.

        Args:
            matrices: catalogue name -> float `[latents, factors]`.
        """
        _, kl = panels.codes(self.model.eval(), self.inputs)  # [latents]
        order = panels.by_kl(kl)  # [latents]
        latents = [f"z{j}" for j in order]
        for name, values in matrices.items():
            labels = (PICTURES[name].title, "latent", "factor")
            self._picture(name, charts.heat_map_picture(values[order].T, factors, latents, *labels, vmin=0), step)
        self.writer.flush()

    def _picture(self, name: str, picture: np.ndarray, step: int) -> None:
        """A picture of the catalogue, uint8 `[Y, X, 3]`, to its file and to TensorBoard."""
        entry, encoded = PICTURES[name], grids.png_bytes(picture)
        with replacing(self.run.path / entry.file) as temporary:
            temporary.write_bytes(encoded)
        image = Summary.Image(height=len(picture), width=picture.shape[1], colorspace=3, encoded_image_string=encoded)
        summary = Summary(value=[Summary.Value(tag=entry.tag, image=image)])
        self.writer.tensorboard.file_writer.add_summary(summary, step)
