"""Compares the rendered replicas with real images: `python -m benchmarks.fidelity dsprites|shapes3d FILE`.

FILE is any .npz or .npy file with an array of images. For every image, the nearest of all rendered images is found by
comparing it with each of them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from tqdm import tqdm

from datasets.render import dsprites, shapes3d
from system.command_line import Parser, command_line
from system.errors import UserError

TOGETHER = 1024  # drawn images that are compared at a time


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


def best_dsprites(
    frames: np.ndarray, factors: np.ndarray | None = None, progress: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """For every frame the intersection over union with the closest drawn image, and that image's factors.

    Args:
        frames: bool `[n, 64, 64]`.
        factors: int64 `[m, 5]`: search only among these images, in place of all 737,280.

    Returns: float64 `[n]`, and int64 `[n, 5]`: indices of shape, scale, orientation, pos_x, pos_y.
    """

    def overlap(frames: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        common = frames @ drawn.T  # [n, m], exact
        return common / np.maximum(frames.sum(1)[:, None] + drawn.sum(1) - common, 1)

    factors = _all_factors(dsprites.FACTORS) if factors is None else factors
    return _best(frames, factors, dsprites.draw, overlap, progress)


def best_shapes3d(
    images: np.ndarray, factors: np.ndarray | None = None, progress: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """For every image the drawn one with the smallest mean absolute error over pixels and channels.

    Args:
        images: uint8 `[n, 64, 64, 3]`.
        factors: int64 `[m, 6]`: search only among these images, in place of all 480,000.

    Returns: float64 `[n]`, the errors in grey values of 255, and int64 `[n, 6]`, the factors of the nearest images.
    """
    from scipy.spatial.distance import cdist

    sizes = {name: len(values) for name, values in shapes3d.FACTOR_VALUES.items()}
    factors = _all_factors(sizes) if factors is None else factors
    likeness, found = _best(images, factors, shapes3d.draw, lambda a, b: -cdist(a, b, "cityblock"), progress)
    return -likeness / images[0].size, found


def _all_factors(sizes: Mapping[str, int]) -> np.ndarray:
    """Every combination, row-major: int64 `[m, k]`."""
    return np.indices(tuple(sizes.values())).reshape(len(sizes), -1).T


def _best(
    frames: np.ndarray, factors: np.ndarray, draw: Callable, likeness: Callable, progress: bool
) -> tuple[np.ndarray, np.ndarray]:
    """For every frame `[n, ...]` the largest likeness to a drawn image, `[n]`, and its factors `[n, k]`.

    likeness: (frames float32 `[n, pixels]`, drawn float32 `[m, pixels]`) -> `[n, m]`.
    """
    flat = frames.reshape(len(frames), -1).astype(np.float32)  # [n, pixels]
    best, index = np.full(len(frames), -np.inf), np.zeros(len(frames), np.int64)  # [n], [n]
    with tqdm(total=len(factors), desc="comparing", unit=" images", unit_scale=True, disable=not progress) as bar:
        for start in range(0, len(factors), TOGETHER):
            drawn = draw(factors[start : start + TOGETHER])  # uint8 [m, 64, 64, c]
            alike = likeness(flat, drawn.reshape(len(drawn), -1).astype(np.float32))  # [n, m]
            nearest = alike.argmax(1)  # [n]
            found = alike[np.arange(len(flat)), nearest]  # [n]
            better = found > best
            best[better], index[better] = found[better], start + nearest[better]
            bar.update(len(drawn))
    return best, factors[index]


def report_dsprites(path: str, per_frame: bool, progress: bool, picture: str | None) -> None:
    """Prints the overlap of the frames in a file with the closest drawn images."""
    if picture is not None:
        raise UserError("--picture: only for shapes3d, leave it out")
    frames = read_frames(path)
    if frames.shape[1:3] != (64, 64) or frames.shape[3:] not in ((), (1,)):
        raise UserError(f"{path}: expected frames of 64 x 64 pixels, found {list(frames.shape)}")
    frames = frames.reshape(-1, 64, 64)
    frames = frames > frames.max() / 2  # [n, 64, 64]
    overlap, factors = best_dsprites(frames, progress=progress)
    different = (dsprites.draw(factors)[..., 0] != frames).sum((1, 2))  # [n]
    if per_frame:
        print("frame  IoU     differing pixels  " + " ".join(dsprites.FACTORS))
        for i in range(len(frames)):
            print(f"{i:5d}  {overlap[i]:.4f}  {different[i]:16d}  " + " ".join(str(f) for f in factors[i]))
    print(f"frames                     {len(frames)}")
    print(f"IoU mean                   {overlap.mean():.5f}")
    print(f"IoU min                    {overlap.min():.5f}")
    print(f"identical to the pixel     {(different == 0).mean():.2%}")
    print(f"differing pixels in all    {different.sum()}")


def report_shapes3d(path: str, per_frame: bool, progress: bool, picture: str | None) -> None:
    """Prints the mean absolute error of the images in a file to the closest drawn ones, in grey values of 255."""
    frames = read_frames(path)
    if frames.shape[1:] != (64, 64, 3) or frames.dtype != np.uint8:
        raise UserError(f"{path}: expected uint8 images [n, 64, 64, 3], found {frames.dtype} {list(frames.shape)}")
    errors, factors = best_shapes3d(frames, progress=progress)
    if per_frame:
        for i in range(len(frames)):
            values = zip(shapes3d.FACTOR_VALUES.items(), factors[i], strict=True)
            print(f"{i:5d}  error {errors[i]:5.2f}  " + "  ".join(f"{name} {of[at]:.3g}" for (name, of), at in values))
    print(f"images                     {len(frames)}")
    print(f"mean absolute error        {errors.mean():.2f} of 255")
    print(f"  of the worst image       {errors.max():.2f}")
    if picture is not None:
        try:
            side_by_side(frames, shapes3d.draw(factors), picture)
        except OSError as error:
            raise UserError(f"--picture {picture} cannot be written ({error.strerror or error})") from None
        print(f"real, drawn, difference    {picture}")


def side_by_side(images: np.ndarray, drawn: np.ndarray, path: str | Path, columns: int = 4, zoom: int = 3) -> None:
    """Saves a PNG: real image, nearest drawn one, and their difference about middle grey, `columns` times in a row."""
    from PIL import Image

    difference = np.clip(128 + (drawn.astype(np.int16) - images) // 2, 0, 255).astype(np.uint8)
    tiles = np.concatenate([images, drawn, difference], axis=2)  # [n, 64, 192, 3]
    tiles = np.pad(tiles, ((0, -len(tiles) % columns), (2, 2), (2, 2), (0, 0)), constant_values=255)
    n, height, width, _ = tiles.shape
    sheet = tiles.reshape(n // columns, columns, height, width, 3).swapaxes(1, 2)  # [rows, height, columns, width, 3]
    picture = Image.fromarray(sheet.reshape(n // columns * height, columns * width, 3))
    picture.resize((picture.width * zoom, picture.height * zoom), Image.Resampling.NEAREST).save(path, format="PNG")


REPORTS = {"dsprites": report_dsprites, "shapes3d": report_shapes3d}


@command_line
def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = Parser(prog="python -m benchmarks.fidelity", description=__doc__)
    parser.add_argument("dataset", choices=REPORTS)
    parser.add_argument("file", help=".npz or .npy file with real frames")
    parser.add_argument("--per-frame", action="store_true", help="also print one line for each frame")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument("--picture", metavar="PNG", help="shapes3d: save real and drawn images side by side")
    options = parser.parse_args(arguments)
    REPORTS[options.dataset](options.file, options.per_frame, not options.quiet, options.picture)


if __name__ == "__main__":
    sys.exit(main())
