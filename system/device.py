"""The machine that a process runs on: its device, memory and threads, and the record of them."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import subprocess
from pathlib import Path

import torch

from system.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
CODE = ("*.py", "requirements.txt")  # what a run's results depend on: not docs, nor the study's records of other runs


def set_up(name: str, index: int, threads: int | None) -> torch.device:
    """Set the CPU threads (None: one per core) and the memory of this process. Returns its device, as `pick_device`."""
    if threads:
        torch.set_num_threads(threads)
    else:
        advise_threads(os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0)
    keep_freed_memory()
    return pick_device(name, index)


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
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(-3, 32 << 20)  # M_MMAP_THRESHOLD: the largest value that it takes
        libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD


def advise_threads(load: float) -> None:
    """Print a note if this process uses every core of a machine of which other processes keep `load` cores busy."""
    threads = torch.get_num_threads()
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


def environment(device: torch.device, precision: str) -> dict:
    """What the speed of a run and the last digits of its results depend on, as plain data for status.json."""
    return {
        "processor": processor(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
        "precision": precision,
        "torch": str(torch.__version__),
        "revision": revision(),
    }


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name and the instructions that PyTorch uses, such as `AMD EPYC 7763, AVX2, bf16`."""
    text = cpuinfo.read_text(encoding="utf-8") if cpuinfo.is_file() else ""
    name = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    units = ["bf16"] if re.search(r"\b(avx512_bf16|amx_bf16|bf16)\b", text) else []
    named = name[1].strip() if name else platform.processor() or platform.machine()
    return ", ".join([named, torch.backends.cpu.get_cpu_capability(), *units])


def revision(folder: Path = ROOT) -> str | None:
    """The git commit of the code, with `-dirty` if files of CODE differ from it; None outside a repository."""

    def git(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}  # read only
        return subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, env=environment)

    try:
        commit = git("rev-parse", "HEAD") if (folder / ".git").exists() else None
        if commit is None or commit.returncode:
            return None
        return commit.stdout.strip() + ("-dirty" if git("diff", "--quiet", "HEAD", "--", *CODE).returncode else "")
    except OSError:  # no git
        return None
