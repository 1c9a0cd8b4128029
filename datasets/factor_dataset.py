"""Images with discrete factors of variation, given by a grid or a table; or without factors."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from system.errors import UserError

if TYPE_CHECKING:
    import torch


class FactorDataset:
    """n images and K discrete factors of each.

    If the images are all combinations of the factors in row-major order (the last factor varies fastest), the data set
    is a grid: the factors of an image follow from its index, and every score applies. Otherwise the factors are a
    table, which has no columns if there are no factors.

    Args:
        name: name of the data set on the command line (`dsprites`, `shapes3d`).
        source: origin of the images: `replica`, or the name of the file; `load_dataset` adds the options.
        factor_names: K names.
        factor_sizes: number of values of each of the K factors; for a grid, their product is n.
        images: uint8 `[n, height, width, channels]`, a NumPy array, which may be memory-mapped, or anything with its
            length and shape that can be indexed like it with int64 `[m]`.
        pixel_max: the uint8 value that stands for 1.0 (1 for dSprites, 255 for 3D Shapes).
        factors: the table, int64 `[n, K]` with values from 0 to size - 1; None for a grid, or without factors.
        left_out: names of factors that `discrete_mig` and `factor_leakage_*` leave out; unknown names are ignored.
        item_names: name of each image, such as its file's path; None: they have none.
        packed: the images are binary and 64x64, with eight pixels per byte: `[n, 512]`, of np.packbits.

    Raises: ValueError if the numbers of images, factors and names do not match.
    """

    def __init__(
        self,
        name: str,
        source: str,
        factor_names: Sequence[str],
        factor_sizes: Sequence[int],
        images: Any,
        pixel_max: int = 255,
        factors: np.ndarray | None = None,
        left_out: Sequence[str] = (),
        packed: bool = False,
        item_names: Sequence[str] | None = None,
    ):
        if len(factor_names) != len(factor_sizes):
            raise ValueError(f"{len(factor_names)} factor names for {len(factor_sizes)} factor sizes")
        self.name, self.source, self.item_names = name, source, item_names
        self.factor_names = tuple(factor_names)
        self.left_out = tuple(name for name in left_out if name in self.factor_names)
        self.factor_sizes = tuple(int(size) for size in factor_sizes)
        if factors is None and not factor_names:
            factors = np.zeros((len(images), 0), np.int64)
        self.factors = factors
        self.images, self.packed = images, packed
        self.on_device: torch.Tensor | None = None  # the images, as stored, after `to_device`
        self.channels = 1 if packed else images.shape[-1]
        self.pixel_max = pixel_max
        count = int(np.prod(self.factor_sizes, dtype=np.int64))
        if factors is None and len(images) != count:
            raise ValueError(f"{len(images)} images for {count} combinations of the factors {self.factor_sizes}")
        if factors is not None and factors.shape != (len(images), len(self.factor_names)):
            raise ValueError(f"factors {factors.shape} for {len(images)} images and {len(self.factor_names)} names")
        if item_names is not None and len(item_names) != len(images):
            raise ValueError(f"{len(item_names)} names for {len(images)} images")
        if packed and (images.dtype != np.uint8 or images.shape[1:] != (64 * 64 // 8,)):
            raise ValueError(f"{images.dtype} {images.shape} cannot hold images of 64 x 64 bits")

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        """Three lines: what the images are, their factors, and whether they are all combinations of them."""
        sizes = ", ".join(f"{name} {size}" for name, size in zip(self.factor_names, self.factor_sizes, strict=True))
        grid = "all combinations of the factors" if self.is_grid else "not all combinations of the factors"
        colour = "grey" if self.channels == 1 else f"{self.channels} channels"
        return (
            f"{self.name} ({self.source}): {len(self):,} images, {colour}\n"
            f"  factors: {sizes or 'none'}\n"
            f"  {grid if sizes else 'without factors'}"
        )

    def __getitem__(self, i: int) -> tuple[torch.Tensor, np.ndarray]:
        """Image i, float32 `[channels, height, width]` in [0, 1], and its factors, int64 `[K]`."""
        if not -len(self) <= i < len(self):
            raise IndexError(f"{i}: {self.name} has {len(self)} images")
        index = np.array([i % len(self)])
        return self.batch(index)[0], self.index_to_factors(index)[0]

    @property
    def is_grid(self) -> bool:
        """Whether the images are all combinations of the factors, in row-major order."""
        return self.factors is None

    def index_to_factors(self, index: np.ndarray) -> np.ndarray:
        """int64 `[n]` -> int64 `[n, K]`. Raises ValueError or IndexError if an index is out of range."""
        index = _as_numpy(index)
        if self.factors is not None:
            return self.factors[index]  # [n, K]
        return np.stack(np.unravel_index(index, self.factor_sizes), axis=-1)  # [n, K]

    def factors_to_index(self, factors: np.ndarray) -> np.ndarray:
        """int64 `[n, K]` -> int64 `[n]`. Raises ValueError if a factor is out of range, or this is not a grid."""
        if self.factors is not None:
            raise ValueError(f"{self.name} is not a grid: its factors do not determine the image")
        return np.ravel_multi_index(np.asarray(factors).T, self.factor_sizes)  # [n]

    def uint8(self, index: np.ndarray | torch.Tensor) -> np.ndarray:
        """int64 `[n]` -> uint8 `[n, height, width, channels]` (0..pixel_max)."""
        rows = self.images[_as_numpy(index)]
        return np.unpackbits(rows, axis=-1).reshape(-1, 64, 64, 1) if self.packed else rows

    def batch(self, index: np.ndarray | torch.Tensor, device: torch.device | str | None = None) -> torch.Tensor:
        """int64 `[n]` -> float32 `[n, channels, height, width]` in [0, 1], in channels-last memory order.

        device: None for where the images are stored: the CPU, or the device of `to_device`.
        """
        import torch

        if self.on_device is not None or str(device or "cpu") != "cpu":
            return self._decoded_on_device(index, device)
        # NumPy's one thread is faster than a pool of threads, and leaves the cores to the training step.
        if self.pixel_max == 1:
            images = self.uint8(index).astype(np.float32)  # [n, height, width, channels]
        else:
            images = np.divide(self.uint8(index), self.pixel_max, dtype=np.float32)
        return torch.from_numpy(images).permute(0, 3, 1, 2)  # [n, channels, height, width]

    def _decoded_on_device(self, index: np.ndarray | torch.Tensor, device: torch.device | str | None) -> torch.Tensor:
        """`batch`, from rows as they are stored, which are sent to the device or are already there."""
        import torch

        from system.device import send

        if self.on_device is not None:
            rows = self.on_device.index_select(0, send(torch.from_numpy(_as_numpy(index)), self.on_device.device))
        else:
            rows = send(torch.from_numpy(self.images[_as_numpy(index)]), torch.device(device or "cpu"))
        if self.packed:
            shifts = torch.arange(7, -1, -1, dtype=torch.uint8, device=rows.device)  # [8], as np.packbits orders them
            rows = (rows[..., None] >> shifts).bitwise_and_(1).view(-1, 64, 64, 1)
        images = rows.float() if self.pixel_max == 1 else rows.float().div_(self.pixel_max)
        return images.to(device or images.device).permute(0, 3, 1, 2)  # [n, channels, height, width]

    def fits(self, device: torch.device) -> bool:
        """Whether the images are an array that takes less than half of what is free on a GPU; False for others."""
        import torch

        if device.type != "cuda" or not hasattr(self.images, "__array__"):
            return False
        return np.asarray(self.images).nbytes < torch.cuda.mem_get_info(device)[0] / 2

    def to_device(self, device: torch.device | str) -> FactorDataset:
        """Copy the uint8 images to the memory of the device, in place; returns self.

        Raises UserError (`--data-on-device`) if they do not fit, or there is no array to copy.
        """
        import torch

        if not hasattr(self.images, "__array__"):
            raise UserError("--data-on-device: these images are generated on access: leave the flag out")
        array, device = np.asarray(self.images), torch.device(device)
        if device.type == "cuda" and (free := torch.cuda.mem_get_info(device)[0]) < array.nbytes:
            raise UserError(
                f"--data-on-device: the images take {array.nbytes / 1e9:.1f} GB, {free / 1e9:.1f} GB of {device} are "
                "free: leave the flag out"
            )
        with warnings.catch_warnings():
            # The memory-mapped array is read-only; nothing writes to the tensor.
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            self.on_device = torch.from_numpy(array).to(device)
        return self


def _as_numpy(index: Any) -> np.ndarray:
    """Indices as int64 `[n]`, from a list, an array, or a tensor on any device. Raises TypeError unless integers."""
    index = index.cpu().numpy() if hasattr(index, "cpu") else np.asarray(index)
    if index.size and index.dtype.kind not in "iu":
        raise TypeError(f"indices are integers, not {index.dtype}; of a mask: np.flatnonzero(mask)")
    return index.astype(np.int64, copy=False)


def split_indices(n: int, split: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Split `range(n)` at random into training and validation indices, each in ascending order.

    Args:
        split: fraction for validation.

    Returns: int64 `[n - v]` and int64 `[v]`; v is 0 only if split is 0.
    Raises: UserError (`--split`) unless 0 <= split < 1 and at least one training image is left.
    """
    if not 0 <= split < 1:
        raise UserError(f"--split {split}: give a fraction from 0 up to, not including, 1")
    count = 0 if split == 0 else max(1, round(n * split))
    if count >= n:
        raise UserError(f"--split {split} leaves no image of {n} to train on: give a smaller fraction, or 0")
    order = np.random.default_rng(seed).permutation(n)  # [n]
    return np.sort(order[count:]), np.sort(order[:count])
