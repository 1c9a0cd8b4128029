"""Compares the rendered replicas with real images: `python -m benchmarks.fidelity dsprites|shapes3d FILE`.

FILE is any .npz or .npy file with an array of images. For every image, the nearest of all rendered images is found by
comparing it with each of them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.spatial.distance import cdist
from tqdm import tqdm

from datasets.render import dsprites, shapes3d
from system.command_line import Parser, command_line
from system.errors import UserError

TOGETHER = 1024  # drawn images that are compared at a time
SIZES = {
    "dsprites": dict(dsprites.FACTORS),
    "shapes3d": {name: len(values) for name, values in shapes3d.FACTOR_VALUES.items()},
}


def read_frames(path: str | Path) -> np.ndarray:
    """The first array `[n, h, w]` or `[n, h, w, c]` of an .npz file, or that of an .npy file. Raises UserError."""
    try:
        content = np.load(path, allow_pickle=False)
        if isinstance(content, np.ndarray):
            content = {"": content}
        for array in (content[name] for name in content if name != "metadata"):
            if array.ndim in (3, 4) and len(array):
                return array
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"cannot read frames from {path} ({error}): give an .npz or .npy file") from None
    raise UserError(f"{path} has no array of frames: expected one of shape [n, height, width]")


def overlap(frames: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Intersection over union of binary `[n, pixels]` and `[m, pixels]`: `[n, m]`."""
    common = frames @ drawn.T  # [n, m], exact
    return common / np.maximum(frames.sum(1)[:, None] + drawn.sum(1) - common, 1)


def closeness(frames: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Minus the mean absolute difference of `[n, numbers]` and `[m, numbers]`: `[n, m]`."""
    return -cdist(frames, drawn, "cityblock") / frames.shape[1]


def nearest(
    name: str, frames: np.ndarray, factors: np.ndarray | None = None, progress: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """For every frame the drawn image that is most alike.

    Args:
        name: dsprites, with bool frames `[n, 64, 64]`, compared by `overlap`; or shapes3d, with uint8 frames
            `[n, 64, 64, 3]`, compared by `closeness`.
        factors: int64 `[m, k]`: search only among these images, in place of all.

    Returns: the likeness, float64 `[n]`, and the factors of the nearest image, int64 `[n, k]`.
    """
    if factors is None:
        factors = np.indices(tuple(SIZES[name].values())).reshape(len(SIZES[name]), -1).T  # [m, k], row-major
    alike: Callable = overlap if name == "dsprites" else closeness
    draw: Callable = dsprites.draw if name == "dsprites" else shapes3d.draw
    flat = frames.reshape(len(frames), -1).astype(np.float32)  # [n, numbers]
    best, index = np.full(len(frames), -np.inf), np.zeros(len(frames), np.int64)  # [n], [n]
    for start in tqdm(range(0, len(factors), TOGETHER), desc="comparing", disable=not progress):
        drawn = draw(factors[start : start + TOGETHER])  # uint8 [m, 64, 64, c]
        likeness = alike(flat, drawn.reshape(len(drawn), -1).astype(np.float32))  # [n, m]
        found = likeness.max(1)  # [n]
        better = found > best
        best[better], index[better] = found[better], start + likeness.argmax(1)[better]
    return best, factors[index]


def report(name: str, path: str, per_frame: bool, progress: bool) -> None:
    """Prints how much the frames in a file resemble the nearest drawn images."""
    frames = read_frames(path)
    wanted = ((64, 64), (64, 64, 1)) if name == "dsprites" else ((64, 64, 3),)
    if frames.shape[1:] not in wanted or (name == "shapes3d" and frames.dtype != np.uint8):
        raise UserError(f"{path}: expected images {list(wanted[0])} of {name}, found {frames.dtype} {frames.shape}")
    if name == "dsprites":
        frames = frames.reshape(-1, 64, 64) > frames.max() / 2  # [n, 64, 64]
    likeness, factors = nearest(name, frames, progress=progress)
    for i in range(len(frames)) if per_frame else ():
        values = ", ".join(f"{factor} {at}" for factor, at in zip(SIZES[name], factors[i], strict=True))
        print(f"{i:5d}  {abs(likeness[i]):.4f}  {values}")
    if name == "dsprites":
        different = (dsprites.draw(factors)[..., 0] != frames).sum((1, 2))  # [n]
        print(f"frames                     {len(frames)}")
        print(f"IoU mean, min              {likeness.mean():.5f}, {likeness.min():.5f}")
        print(f"identical to the pixel     {(different == 0).mean():.2%}")
        print(f"differing pixels in all    {different.sum()}")
    else:
        print(f"images                     {len(frames)}")
        print(f"mean absolute error        {-likeness.mean():.2f} of 255; of the worst image {-likeness.min():.2f}")


@command_line
def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = Parser(prog="python -m benchmarks.fidelity", description=__doc__)
    parser.add_argument("dataset", choices=SIZES)
    parser.add_argument("file", help=".npz or .npy file with real frames")
    parser.add_argument("--per-frame", action="store_true", help="also print one line for each frame")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    options = parser.parse_args(arguments)
    report(options.dataset, options.file, options.per_frame, not options.quiet)


if __name__ == "__main__":
    sys.exit(main())
