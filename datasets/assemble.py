"""Makes a data set of a table of labels and of images of any size: sorted into the grid, resized, stored once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from datasets.factor_dataset import FactorDataset
from datasets.grid import find_grid, to_levels
from datasets.resizing import SIDE
from datasets.spec import FETCH_AGAIN
from datasets.store import Stored, build, in_threads, stamp
from system.errors import UserError


def assemble(
    name: str,
    paths: Sequence[Path],
    factors: Sequence[str],
    labels: np.ndarray,
    items: Iterable,
    work: Callable,
    channels: int,
    form: str = "",
    *,
    source: str = "",
    table: bool = False,
    progress: bool = True,
) -> FactorDataset:
    """The data set of the images `work(item)`, whose factors have the values `labels` `[n, K]`, in the same order.

    Args:
        paths: the files that the images come from.
        work: item -> uint8 `[64, 64, channels]`. Called in several threads.
        form: names the options that the images depend on.
        source: as of a FactorDataset; none: the name of the first file.
        table: the labels need not be all combinations.

    Raises: UserError if they have to be, and are not; or no directory has room.
    """
    levels, sizes = to_levels(labels)  # [n, K]
    places = find_grid(levels, sizes)
    if places is None and not table:
        listed = ", ".join(f"{factor} {size}" for factor, size in zip(factors, sizes, strict=True))
        raise UserError(
            f"{paths[0]}: expected all combinations of its factors, each once; found {len(levels)} images of "
            f"{listed}: {FETCH_AGAIN}"
        )
    images = stored_images(name, paths, form, items, work, len(levels), channels, places=places, progress=progress)
    kept = None if places is not None else levels
    return FactorDataset(name, source or paths[0].name, factors, sizes, images.images, factors=kept)


def stored_images(
    name: str,
    paths: Sequence[Path],
    form: str,
    items: Iterable,
    work: Callable,
    count: int,
    channels: int,
    *,
    key: object = None,
    places: np.ndarray | None = None,
    said: Callable[[], list[str]] = list,
    progress: bool = True,
) -> Stored:
    """The images `work(item)` in the store, uint8 `[n, 64, 64, channels]`; as `store.build` and `assemble`.

    work: may give None, which leaves an image out. key: None: sizes and dates of the paths.
    """

    def pieces():
        for image in in_threads(work, items):
            yield None if image is None else image[None]

    shape, form = (count, SIDE, SIDE, channels), ".".join(filter(None, [form, f"{SIDE}x{SIDE}x{channels}"]))
    key = stamp(*paths) if key is None else key
    return build(name, paths[0], form, key, shape, pieces, places=places, said=said, progress=progress)
