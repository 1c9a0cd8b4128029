"""How close the drawn replicas are to real frames: `python -m benchmarks.fidelity dsprites|shapes3d FILE`.

FILE is any .npz or .npy file with an array of frames. For every frame the closest of all drawn images is found by
comparing it with each of them.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from system.errors import UserError, command_line


def read_frames(path: str | Path) -> np.ndarray:
    """The first array `[n, h, w]` or `[n, h, w, c]` of an .npz file, or that of an .npy file. Raises UserError."""
    try:
        content = np.load(path, allow_pickle=False)
        if isinstance(content, np.ndarray):
            arrays = [content]
        else:
            arrays = (content[name] for name in content.files if name != "metadata")
        for array in arrays:
            if array.ndim in (3, 4) and len(array):
                return array
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"cannot read frames from {path} ({error}): give an .npz or .npy file") from None
    raise UserError(f"{path} has no array of frames: expected one of shape [n, height, width]")


def best_dsprites(
    frames: np.ndarray, progress: bool = True, every: dict[str, int] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """For every frame the intersection over union with the closest drawn image, and that image's factors.

    Args:
        frames: bool `[n, 64, 64]`.
        every: `{factor: k}`: search only among the values 0, k, 2k, ... of these factors.

    Returns: float64 `[n]`, and int64 `[n, 5]`: indices of shape, scale, orientation, pos_x, pos_y.
    """
    from datasets.render.dsprites import FACTORS, draw_sprites
    from datasets.render.every import kept_indices

    frames = frames.astype(np.float32)  # [n, 64, 64]
    columns = frames.sum(1)  # [n, 64]
    area = columns.sum(1)  # [n]
    best, index = np.full(len(frames), -1.0), np.zeros(len(frames), np.int64)  # [n], [n]
    start = 0
    kept = kept_indices(FACTORS, every)
    sizes = [len(values) for values in kept.values()]
    bar = tqdm(total=int(np.prod(sizes)), desc="comparing", unit=" images", unit_scale=True, disable=not progress)
    with bar:
        for sprite in draw_sprites(kept):
            for images in sprite:  # [Y, 64, 64] at one pos_x
                used = np.flatnonzero(images.any((0, 1)))
                used = slice(used[0], used[-1] + 1)  # the only columns with pixels in common
                # The overlap cannot be more than the part of the frame in these columns: most frames need no look.
                close = np.flatnonzero(columns[:, used].sum(1) > best * area)  # [m]
                if close.size:
                    drawn = images[:, :, used].astype(np.float32)  # [Y, 64, columns]
                    common = np.tensordot(frames[close][:, :, used], drawn, ((1, 2), (1, 2)))  # [m, Y], exact
                    overlap = common / np.maximum(area[close, None] + drawn.sum((1, 2)) - common, 1)  # [m, Y]
                    nearest = overlap.argmax(1)  # [m]
                    found = overlap[np.arange(len(close)), nearest]
                    better = found > best[close]
                    best[close[better]], index[close[better]] = found[better], start + nearest[better]
                start += len(images)
            bar.update(sprite.shape[0] * sprite.shape[1])
    factors = [values[i] for values, i in zip(kept.values(), np.unravel_index(index, sizes), strict=True)]
    return np.maximum(best, 0), np.stack(factors, axis=1)


def report_dsprites(path: str, per_frame: bool, progress: bool, picture: str | None) -> None:
    """Prints the overlap of the frames in a file with the closest drawn images."""
    from datasets.render.dsprites import FACTORS, draw

    if picture is not None:
        raise UserError("--picture: only for shapes3d, leave it out")
    frames = read_frames(path)
    if frames.shape[1:3] != (64, 64) or frames.shape[3:] not in ((), (1,)):
        raise UserError(f"{path}: expected frames of 64 x 64 pixels, found {list(frames.shape)}")
    frames = frames.reshape(-1, 64, 64)
    frames = frames > frames.max() / 2  # [n, 64, 64]
    overlap, factors = best_dsprites(frames, progress)
    different = (draw(factors)[..., 0] != frames).sum((1, 2))  # [n]
    if per_frame:
        print("frame  IoU     differing pixels  " + " ".join(FACTORS))
        for i in range(len(frames)):
            print(f"{i:5d}  {overlap[i]:.4f}  {different[i]:16d}  " + " ".join(str(f) for f in factors[i]))
    print(f"frames                     {len(frames)}")
    print(f"IoU mean                   {overlap.mean():.5f}")
    print(f"IoU min                    {overlap.min():.5f}")
    print(f"identical to the pixel     {(different == 0).mean():.2%}")
    print(f"differing pixels in all    {different.sum()}")


def report_shapes3d(path: str, per_frame: bool, progress: bool, picture: str | None) -> None:
    """Prints the mean absolute error of the images in a file to the closest drawn ones, in grey values of 255."""
    from benchmarks.fidelity_shapes3d import best_shapes3d, describe, side_by_side
    from datasets.render.shapes3d import draw

    frames = read_frames(path)
    if frames.shape[1:] != (64, 64, 3) or frames.dtype != np.uint8:
        raise UserError(f"{path}: expected uint8 images [n, 64, 64, 3], found {frames.dtype} {list(frames.shape)}")
    errors, factors = best_shapes3d(frames, progress)
    if per_frame:
        for i in range(len(frames)):
            print(f"{i:5d}  error {errors[i]:5.2f}  {describe(factors[i])}")
    print(f"images                     {len(frames)}")
    print(f"mean absolute error        {errors.mean():.2f} of 255")
    print(f"  of the worst image       {errors.max():.2f}")
    if picture is not None:
        try:
            side_by_side(frames, draw(factors), picture)
        except OSError as error:
            raise UserError(f"--picture {picture} cannot be written ({error.strerror or error})") from None
        print(f"real, drawn, difference    {picture}")


REPORTS = {"dsprites": report_dsprites, "shapes3d": report_shapes3d}


@command_line
def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fidelity", description=__doc__)
    parser.add_argument("dataset", choices=REPORTS)
    parser.add_argument("file", help=".npz or .npy file with real frames")
    parser.add_argument("--per-frame", action="store_true", help="also print one line for each frame")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument("--picture", metavar="PNG", help="shapes3d: save real and drawn images side by side")
    options = parser.parse_args(arguments)
    REPORTS[options.dataset](options.file, options.per_frame, not options.quiet, options.picture)


if __name__ == "__main__":
    sys.exit(main())
