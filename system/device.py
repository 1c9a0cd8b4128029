"""Device, memory and threads of a process."""

from __future__ import annotations

import ctypes
import os
import platform

import torch

from system.errors import UserError


def pick_device(name: str, index: int = 0) -> torch.device:
    """The device `name`; `auto`: cuda, else mps, else cpu. `index` chooses among several CUDA devices.

    Raises UserError if this machine has no such device.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(kind for kind, present in available.items() if present)
    if not available[name]:
        raise UserError(f"--device {name} is not available on this machine; use --device auto")
    if name != "cuda":
        return torch.device(name)
    torch.cuda.set_device(index)
    # Deterministic kernels only, so that the same seed gives the same result.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(True, warn_only=True)
    return torch.device(name, index)


def keep_freed_memory() -> None:
    """Make glibc's malloc keep the memory that a step frees for the next step.

    By default it returns large blocks to the system and gets new pages for the next step, which the kernel fills with
    zeros: up to a quarter of a step's time. Does nothing with other C libraries.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of mallopt(3)
    libc = ctypes.CDLL(None)
    libc.mallopt(mmap_threshold, 32 << 20)  # the largest value that it takes
    libc.mallopt(trim_threshold, 2**31 - 1)


def set_threads(number: int | None) -> None:
    """Set the number of CPU threads; None: one per core, with a note if other processes keep the cores busy."""
    if number:
        torch.set_num_threads(number)
    else:
        advise_threads()


def advise_threads(load: float | None = None) -> None:
    """Print a note if this process uses every core of a machine on which other processes are busy.

    Args:
        load: number of busy cores; None: the system's mean over the last minute.
    """
    threads = torch.get_num_threads()
    if load is None:
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if threads > 1 and load > threads / 2:
        print(
            f"note: other processes keep {load:.1f} of {threads} cores busy. Runs that use every core slow each other "
            f"down many times: give each its share of them, such as --num-threads {threads // 2}"
        )


def send(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """The tensor on the device, without waiting for CUDA: the copy is made from pinned memory."""
    if device.type == "cuda" and values.device.type == "cpu":
        return values.pin_memory().to(device, non_blocking=True)
    return values.to(device)


def synchronise(device: torch.device) -> None:
    """Wait for the device to finish all work."""
    if device.type in ("cuda", "mps"):
        getattr(torch, device.type).synchronize()
