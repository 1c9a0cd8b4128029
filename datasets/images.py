"""Stores of uint8 images, indexed by batches: plain, or packed with eight binary pixels per byte.

The array may be memory-mapped, or in the memory of a device after `to_device`. Batches are made by NumPy in one thread:
one pass is faster than dispatching to a thread pool, and leaves the cores to the training step.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from system.errors import UserError

if TYPE_CHECKING:
    import torch

# Byte -> its eight pixels, in the order of np.packbits (highest bit first).
_BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(np.float32)  # [256, 8]


class RawImages:
    """uint8 images.

    Args:
        array: `[N, height, width, channels]`, or anything that can be indexed like it with int64 `[n]`.
        pixel_max: the uint8 value that stands for 1.0.
    """

    def __init__(self, array, pixel_max: int = 255):
        self.array = array
        self.pixel_max = np.float32(pixel_max)

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, index: np.ndarray) -> np.ndarray:
        return self.array[index]  # [n, height, width, channels]

    def floats(self, index, device=None) -> torch.Tensor:
        """int64 `[n]` -> float32 `[n, height, width, channels]` in [0, 1] on the device."""
        import torch

        from system.device import send

        rows = self.array[as_numpy(index)]  # [n, height, width, channels]
        if _is_cpu(device):
            return torch.from_numpy(np.divide(rows, self.pixel_max, dtype=np.float32))
        # Send uint8 and divide on the device: a quarter of the bytes.
        return send(torch.from_numpy(rows), torch.device(device)).float().div_(float(self.pixel_max))

    def to_device(self, device) -> DeviceImages:
        """The same images in the memory of the device. Raises UserError if they do not fit."""
        pixel_max = float(self.pixel_max)
        return DeviceImages(self, _copied(self.array, device), lambda rows: rows.float().div_(pixel_max))


class PackedImages:
    """Binary images `[N, height, width, 1]`, packed to uint8 `[N, height * width / 8]` by np.packbits."""

    def __init__(self, packed: np.ndarray, height: int = 64, width: int = 64):
        if packed.dtype != np.uint8 or packed.shape[1:] != (height * width // 8,):
            raise ValueError(f"{packed.dtype} {packed.shape} cannot hold images of {height} x {width} bits")
        self.packed = packed
        self.shape = (-1, height, width, 1)

    def __len__(self) -> int:
        return len(self.packed)

    def __getitem__(self, index: np.ndarray) -> np.ndarray:
        return np.unpackbits(self.packed[index], axis=-1).reshape(self.shape)  # [n, height, width, 1]

    def floats(self, index, device=None) -> torch.Tensor:
        """int64 `[n]` -> float32 `[n, height, width, 1]`, 0 or 1, on the device."""
        import torch

        from system.device import send

        rows = self.packed[as_numpy(index)]  # [n, bytes]
        if _is_cpu(device):
            return torch.from_numpy(np.take(_BITS, rows, axis=0)).view(self.shape)  # [n, height, width, 1]
        return self._unpacked(send(torch.from_numpy(rows), torch.device(device)))

    def to_device(self, device) -> DeviceImages:
        """The same images, packed, in the memory of the device. Raises UserError if they do not fit."""
        return DeviceImages(self, _copied(self.packed, device), self._unpacked)

    def _unpacked(self, rows: torch.Tensor) -> torch.Tensor:
        import torch

        shifts = torch.arange(7, -1, -1, dtype=torch.uint8, device=rows.device)  # [8]
        return (rows[..., None] >> shifts).bitwise_and_(1).float().view(self.shape)  # [n, height, width, 1]


class DeviceImages:
    """Images in the memory of a device.

    Args:
        store: the same images on the CPU.
        rows: uint8 `[N, ...]` on the device.
        decode: rows `[n, ...]` -> float32 `[n, height, width, channels]`.
    """

    def __init__(self, store: RawImages | PackedImages, rows: torch.Tensor, decode: Callable):
        self.store = store
        self.rows = rows
        self.decode = decode

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: np.ndarray) -> np.ndarray:
        return self.store[index]  # [n, height, width, channels]

    def floats(self, index, device=None) -> torch.Tensor:
        """int64 `[n]` -> float32 `[n, height, width, channels]` in [0, 1]; device None: that of the images."""
        import torch

        from system.device import send

        index = send(torch.as_tensor(index), self.rows.device)  # [n]
        images = self.decode(self.rows.index_select(0, index))  # [n, height, width, channels]
        return images if device is None else images.to(device)

    def to_device(self, device) -> DeviceImages:
        """The same images in the memory of another device."""
        return self.store.to_device(device)


def as_numpy(index) -> np.ndarray:
    """Indices as a NumPy array, from a list, an array, or a tensor on any device."""
    return index.cpu().numpy() if hasattr(index, "cpu") else np.asarray(index)


def _is_cpu(device) -> bool:
    return device is None or str(device) == "cpu"


def _copied(array, device) -> torch.Tensor:
    """Copy the array to the device. Raises UserError if its memory is too small, or there is no array to copy."""
    import torch

    if not hasattr(array, "__array__"):
        raise UserError("--data-on-device: these images are generated on access: leave the flag out")
    array, device = np.asarray(array), torch.device(device)
    if device.type == "cuda" and (free := torch.cuda.mem_get_info(device)[0]) < array.nbytes:
        raise UserError(
            f"--data-on-device: the images take {array.nbytes / 1e9:.1f} GB, {free / 1e9:.1f} GB of {device} are free: "
            "leave the flag out"
        )
    with warnings.catch_warnings():
        # The memory-mapped array is read-only; nothing writes to the tensor.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array).to(device)
