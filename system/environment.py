"""The environment of a run, on which its speed and the last digits of its results depend."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[1]
CODE = ("*.py", "requirements.txt")  # what a run's results depend on: not docs, nor the study's records of other runs


def describe(device: torch.device, precision: str) -> dict:
    """Processor, device, threads, precision, PyTorch and revision, as plain data for status.json."""
    return {
        **hardware(device),
        "threads": torch.get_num_threads(),
        "precision": precision,
        "torch": str(torch.__version__),
        "revision": revision(),
    }


def hardware(device: torch.device) -> dict[str, str]:
    """The names of processor and device."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {"processor": processor(), "device": name}


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name and the instructions that PyTorch uses, such as `AMD EPYC 7763, AVX2, bf16`."""
    text = cpuinfo.read_text(encoding="utf-8") if cpuinfo.is_file() else ""
    name = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    parts = [name[1].strip() if name else platform.processor() or platform.machine()]
    parts.append(torch.backends.cpu.get_cpu_capability())
    if re.search(r"\b(avx512_bf16|amx_bf16|bf16)\b", text):
        parts.append("bf16")
    return ", ".join(parts)


def revision(folder: Path = ROOT) -> str | None:
    """The git commit of the code, with `-dirty` if files of CODE differ from it; None outside a repository."""
    if not (folder / ".git").exists():
        return None

    def git(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}  # read only
        return subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, env=environment)

    try:
        commit, changes = git("rev-parse", "HEAD"), git("diff", "--quiet", "HEAD", "--", *CODE)
    except OSError:
        return None
    if commit.returncode:
        return None
    return commit.stdout.strip() + ("-dirty" if changes.returncode else "")
