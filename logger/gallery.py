"""The pictures and animations of a run: PNG and GIF files in its directory, and the same in TensorBoard."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tensorboard.compat.proto.summary_pb2 import Summary

from logger import charts, grids, panels, pictures
from logger.catalogue import PICTURES
from logger.run_directory import RunDirectory
from system.files import replacing

FOLDER = "frames"
COLUMNS = 9
FIRST, GROWTH = 20, 1.25  # step of the first frame, ratio of the steps of successive frames
# Milliseconds per frame of the two animations, and of the last frame of training.
SWEEP, TRAINING, PAUSE = 80, 350, 2000


class Gallery:
    """Draws the pictures of a run.

    Args:
        writer: the `SummaryWriter` of the run.
        dataset, seed, device: what the images to draw from are chosen by, see `pictures.gather`.
    """

    def __init__(self, run: RunDirectory, writer, model, dataset, seed: int, device: torch.device):
        self.run, self.writer, self.model = run, writer, model
        self.inputs = pictures.gather(dataset, seed, device)
        self._frames = FrameRecorder(run.path)

    def frame(self, step: int) -> None:
        """Store a frame of the training animation, if one is due."""
        if self._frames.due(step):
            self._frames.record(self.model, self.inputs.examples[:1], step)

    def pictures(self, step: int) -> None:
        """All pictures of the model, to TensorBoard and as PNG and GIF files."""
        start = time.perf_counter()
        drawn = panels.draw(self.model, self.inputs)
        for name, picture in drawn.pictures.items():
            self._picture(name, picture, step)
        for tag, value in drawn.scalars.items():
            self.writer.add_scalar(tag, value, step)
        for tag, text in drawn.texts.items():
            self.writer.add_text(tag, text, step)
        animation = grids.gif_bytes(drawn.frames, SWEEP)
        self._image("traversal_animation", animation, drawn.frames[0].shape, step)
        self.writer.add_scalar("speed/seconds_for_pictures", time.perf_counter() - start, step)
        self.writer.flush()

    def animate_training(self, step: int) -> None:
        """Write the training animation, if frames were stored."""
        frames = self._frames.read()
        if frames:
            animation = grids.gif_bytes(frames, [TRAINING] * (len(frames) - 1) + [PAUSE])
            self._image("training_animation", animation, frames[0].shape, step)

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
        self._image(name, grids.png_bytes(picture), picture.shape, step)

    def _image(self, name: str, encoded: bytes, shape: tuple[int, ...], step: int) -> None:
        """An encoded PNG or GIF of the catalogue, to its file and to TensorBoard."""
        entry = PICTURES[name]
        with replacing(self.run.path / entry.file) as temporary:
            temporary.write_bytes(encoded)
        image = Summary.Image(height=shape[0], width=shape[1], colorspace=3, encoded_image_string=encoded)
        summary = Summary(value=[Summary.Value(tag=entry.tag, image=image)])
        self.writer.file_writer.add_summary(summary, step)


class FrameRecorder:
    """Writes a frame at step 20, and then whenever the step has grown by a quarter: about 40 in 200,000 steps.

    A continued run adds to the existing frames.
    """

    def __init__(self, run_path: Path):
        self.folder = Path(run_path) / FOLDER
        self.last = max(self.steps(), default=0)

    def steps(self) -> list[int]:
        """Steps of the recorded frames, ascending."""
        return sorted(int(path.stem) for path in self.folder.glob("*.png") if path.stem.isdecimal())

    def due(self, step: int) -> bool:
        """Whether to record a frame at this step; also after a step back, to an earlier checkpoint."""
        return step >= max(FIRST, self.last * GROWTH) or step < self.last

    def record(self, model, x: torch.Tensor, step: int) -> None:
        """Draw and write the frame of a step: traversals around the image x `[1, channels, height, width]`."""
        self.folder.mkdir(exist_ok=True)
        model.eval()
        traversals = pictures.traversals(model, model.mean_code(x), COLUMNS)  # uint8 [latents, COLUMNS, h, w, c]
        names = [f"z{j}" for j in range(len(traversals))]
        picture = grids.labelled(traversals, names, title=f"step {step:,}")
        with replacing(self.folder / f"{step:09d}.png") as temporary:
            temporary.write_bytes(grids.png_bytes(picture))
        self.last = step

    def read(self) -> list[np.ndarray]:
        """The frames, uint8 `[Y, X, 3]` each, padded to a common size."""
        frames = []
        for step in self.steps():
            with Image.open(self.folder / f"{step:09d}.png") as image:
                frames.append(np.asarray(image.convert("RGB")))
        size = np.max([frame.shape for frame in frames], axis=0, initial=0)
        gaps = [size - frame.shape for frame in frames]
        return [np.pad(f, [(0, int(g)) for g in gap], constant_values=255) for f, gap in zip(frames, gaps, strict=True)]
