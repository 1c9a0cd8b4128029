"""Records traversals during training, as small frames in the run directory, to be joined into a GIF."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import torch

from logger import grids, pictures
from system.files import replacing

FOLDER = "frames"
COLUMNS = 9
FIRST, GROWTH = 20, 1.25  # step of the first frame, ratio of the steps of successive frames
# Milliseconds per frame of the two animations, and of the last frame of training.
SWEEP, TRAINING, PAUSE = 80, 350, 2000


class FrameRecorder:
    """Writes a frame at step 20, and then whenever the step has grown by a quarter: about 40 in 200,000 steps.

    A continued run adds to the existing frames.
    """

    def __init__(self, run_path: Path):
        self.folder = Path(run_path) / FOLDER
        self.last = max(self.steps(), default=0)

    def steps(self) -> list[int]:
        """Steps of the recorded frames, ascending."""
        found = (re.fullmatch(r"(\d+)\.png", path.name) for path in self.folder.glob("*.png"))
        return sorted(int(match[1]) for match in found if match)

    def due(self, step: int) -> bool:
        """Whether to record a frame at this step; also after a step back, to an earlier checkpoint."""
        return step >= max(FIRST, self.last * GROWTH) or step < self.last

    @torch.no_grad()
    def record(self, model, x: torch.Tensor, step: int) -> None:
        """Draw and write the frame of a step: traversals around the image x `[1, channels, height, width]`."""
        self.folder.mkdir(exist_ok=True)
        traversals = pictures.traversals(model, model.encode(x)[0], COLUMNS)  # uint8 [latents, COLUMNS, h, w, c]
        names = [f"z{j}" for j in range(len(traversals))]
        picture = grids.labelled(traversals, names, title=f"step {step:,}")
        with replacing(self.folder / f"{step:09d}.png") as temporary:
            temporary.write_bytes(grids.png_bytes(picture))
        self.last = step

    def read(self) -> list[np.ndarray]:
        """The frames, uint8 `[Y, X, 3]` each, padded to a common size."""
        from PIL import Image

        frames = []
        for step in self.steps():
            with Image.open(self.folder / f"{step:09d}.png") as image:
                frames.append(np.asarray(image.convert("RGB")))
        size = np.max([frame.shape for frame in frames], axis=0, initial=0)
        gaps = [size - frame.shape for frame in frames]
        return [np.pad(f, [(0, int(g)) for g in gap], constant_values=255) for f, gap in zip(frames, gaps, strict=True)]
