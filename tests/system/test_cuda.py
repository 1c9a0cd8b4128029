"""Training on an NVIDIA GPU, in processes of their own; the other tests see none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from logger import read_run
from tests.conftest import GPUS

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not Path("/dev/nvidia0").exists(), reason="needs an NVIDIA GPU")]
ROOT = Path(__file__).resolve().parents[2]
RUN = "main.py --dataset=dsprites --recons_loss_type=bce --batch-size=8 --epochs=3 --seed=1 --split=0 --quiet"
OFF = "--end-metrics=no --visualise=no --num-threads=1"


def train(data: Path, log_path: Path, *flags: str) -> Path:
    """Trains a Lie group VAE for 45 steps; returns the run directory."""
    environment = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    if GPUS is not None:
        environment["CUDA_VISIBLE_DEVICES"] = GPUS
    command = [sys.executable, *RUN.split(), *OFF.split(), f"--data-path={data}", f"--log-path={log_path}", *flags]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    return log_path / "version_0"


def weights(run: Path) -> dict[str, torch.Tensor]:
    return torch.load(run / "checkpoints" / "model.pt", weights_only=True)


def last_loss(run: Path) -> float:
    return read_run(run).last("validation/loss")


@pytest.fixture(scope="module")
def eager(small_dsprites, tmp_path_factory) -> Path:
    return train(small_dsprites, tmp_path_factory.mktemp("eager"), "--device=cuda")


def test_the_same_seed_gives_the_same_bits(small_dsprites, eager, tmp_path):
    again = train(small_dsprites, tmp_path, "--device=cuda", "--data-on-device")
    assert all(torch.equal(value, weights(again)[name]) for name, value in weights(eager).items())


def test_weights_are_stored_for_machines_without_a_gpu(eager):
    assert {value.device.type for value in weights(eager).values()} == {"cpu"}


def test_it_trains_as_on_a_cpu(small_dsprites, eager, tmp_path):
    assert last_loss(train(small_dsprites, tmp_path, "--device=cpu")) == pytest.approx(last_loss(eager), rel=1e-3)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_compiled_model_trains_alike(small_dsprites, eager, tmp_path, precision):
    """More steps than between two reports: the loss terms of all of them are checked at once."""
    compiled = train(small_dsprites, tmp_path, "--device=cuda", "--compile", f"--precision={precision}")
    assert last_loss(compiled) == pytest.approx(last_loss(eager), rel=1e-3 if precision == "fp32" else 2e-2)
