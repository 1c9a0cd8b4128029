"""Images, and what is known of each: its place in a grid of factors, a row of a table of factors, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from datasets.images import RawImages, as_numpy
from system.errors import UserError

if TYPE_CHECKING:
    import torch


class FactorDataset:
    """n images and K discrete factors of each.

    Where the images are all combinations of the factors in row-major order (the last factor runs fastest), the data set
    is a grid: an image's factors follow from its index, and every score applies. Else its factors are a table, without
    columns where nothing is known of the images.

    Args:
        name: the data set's name on the command line (`dsprites`, `shapes3d`).
        source: where the images come from: `replica`, or the name of the file.
        factor_names, factor_sizes: K names and K numbers of values; the product of a grid's sizes is n.
        images: a store of `datasets.images`, or anything that yields uint8 `[n, height, width, channels]` when indexed
            with int64 `[n]` (a NumPy array does).
        image_shape: height, width, channels.
        pixel_max: the uint8 value that means 1.0 (1 for dSprites, 255 for 3D Shapes).
        factors: the table, int64 `[n, K]` with values from 0 to size - 1; None for a grid.
        left_out: names of factors that `discrete_mig` and `factor_leakage_*` leave out; those that the data set lacks
            count for nothing.
    """

    def __init__(
        self,
        name: str,
        source: str,
        factor_names: Sequence[str],
        factor_sizes: Sequence[int],
        images,
        image_shape: tuple[int, int, int] = (64, 64, 1),
        pixel_max: int = 255,
        factors: np.ndarray | None = None,
        left_out: Sequence[str] = (),
    ):
        if len(factor_names) != len(factor_sizes):
            raise ValueError(f"{len(factor_names)} factor names for {len(factor_sizes)} factor sizes")
        self.name = name
        self.source = source
        self.factor_names = tuple(factor_names)
        self.left_out = tuple(name for name in left_out if name in self.factor_names)
        self.factor_sizes = tuple(int(size) for size in factor_sizes)
        self.factors = factors
        self.images: Any = images if hasattr(images, "floats") else RawImages(images, pixel_max)
        self.height, self.width, self.channels = image_shape
        self.pixel_max = pixel_max
        count = int(np.prod(self.factor_sizes, dtype=np.int64))
        if factors is None and len(images) != count:
            raise ValueError(f"{len(images)} images for {count} combinations of the factors {self.factor_sizes}")
        if factors is not None and factors.shape != (len(images), len(self.factor_names)):
            raise ValueError(f"factors {factors.shape} for {len(images)} images and {len(self.factor_names)} names")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def is_grid(self) -> bool:
        """Whether every combination of the factors is there, once, and the index says which."""
        return self.factors is None

    def index_to_factors(self, index: np.ndarray) -> np.ndarray:
        """int64 `[n]` -> int64 `[n, K]`. Raises ValueError or IndexError where an index is out of range."""
        if self.factors is not None:
            return self.factors[index]  # [n, K]
        return np.stack(np.unravel_index(index, self.factor_sizes), axis=-1)  # [n, K]

    def factors_to_index(self, factors: np.ndarray) -> np.ndarray:
        """int64 `[n, K]` -> int64 `[n]`, of a grid. Raises ValueError where a factor is out of its range."""
        if self.factors is not None:
            raise ValueError(f"{self.name} is no grid: its factors do not tell which image is meant")
        return np.ravel_multi_index(np.asarray(factors).T, self.factor_sizes)  # [n]

    def uint8(self, index: np.ndarray) -> np.ndarray:
        """int64 `[n]` -> uint8 `[n, height, width, channels]`, as stored (0..pixel_max)."""
        return self.images[as_numpy(index)]

    def batch(self, index: np.ndarray | torch.Tensor, device: torch.device | str | None = None) -> torch.Tensor:
        """int64 `[n]` -> float32 `[n, channels, height, width]` in [0, 1], in channels-last memory order.

        On `device`; with None, where the images are: the CPU, or where `to_device` took them.
        """
        images = self.images.floats(index, device)  # [n, height, width, channels]
        return images.permute(0, 3, 1, 2)  # [n, channels, height, width]

    def to_device(self, device: torch.device | str) -> FactorDataset:
        """Copies the uint8 images to the device's memory, where `batch` then cuts them; returns this data set.

        Raises UserError (`--data-on-device`) when they do not fit there.
        """
        self.images = self.images.to_device(device)
        return self


def split_indices(n: int, split: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two disjoint random parts of `range(n)`, each in order: training, and the fraction `split` for validation.

    Returns: int64 `[n - v]` and int64 `[v]`, drawn from the seed alone; v is 0 only if split is 0.
    Raises: UserError (`--split`) unless 0 <= split < 1 leaves something to train on.
    """
    if not 0 <= split < 1:
        raise UserError(f"--split {split}: give a fraction from 0 up to, not including, 1")
    count = 0 if split == 0 else max(1, round(n * split))
    if count >= n:
        raise UserError(f"--split {split} leaves no image of {n} to train on: give a smaller fraction")
    order = np.random.default_rng(seed).permutation(n)  # [n]
    return np.sort(order[count:]), np.sort(order[:count])
