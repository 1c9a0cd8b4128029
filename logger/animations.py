"""The traversals over training: small frames kept in the run directory at growing intervals, joined into a GIF."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import torch

from logger import grids, pictures
from system.files import replacing

FOLDER = "frames"
COLUMNS = 9
FIRST, GROWTH = 20, 1.25  # steps: of the first frame, and the ratio of one frame's to the last one's
SWEEP, TRAINING, PAUSE = 80, 350, 2000  # milliseconds a frame, and the last one of training


class FrameRecorder:
    """Keeps a frame at step 20 and whenever the step has grown by a quarter since: some 40 over 200,000 steps.

    A continued run adds to the frames that are there.
    """

    def __init__(self, run_path: Path):
        self.folder = Path(run_path) / FOLDER
        self.last = max(self.steps(), default=0)

    def steps(self) -> list[int]:
        """Steps of the frames that are kept, ascending."""
        found = (re.fullmatch(r"(\d+)\.png", path.name) for path in self.folder.glob("*.png"))
        return sorted(int(match[1]) for match in found if match)

    def due(self, step: int) -> bool:
        return step >= max(FIRST, self.last * GROWTH) or step < self.last

    @torch.no_grad()
    def record(self, model, x: torch.Tensor, step: int) -> None:
        """Draw the frame of a step. x `[1, channels, height, width]` is the image to walk around."""
        self.folder.mkdir(exist_ok=True)
        walks = pictures.traversals(model, model.encode(x)[0], COLUMNS)  # uint8 [latents, COLUMNS, h, w, c]
        names = [f"z{j}" for j in range(len(walks))]
        picture = grids.labelled(walks, names, title=f"step {step:,}")
        with replacing(self.folder / f"{step:09d}.png") as temporary:
            temporary.write_bytes(grids.png_bytes(picture))
        self.last = step

    def read(self) -> list[np.ndarray]:
        """The frames, uint8 `[Y, X, 3]`, padded to one size."""
        from PIL import Image

        frames = []
        for step in self.steps():
            with Image.open(self.folder / f"{step:09d}.png") as image:
                frames.append(np.asarray(image.convert("RGB")))
        size = np.max([frame.shape for frame in frames], axis=0, initial=0)
        gaps = [size - frame.shape for frame in frames]
        return [np.pad(f, [(0, int(g)) for g in gap], constant_values=255) for f, gap in zip(frames, gaps, strict=True)]
