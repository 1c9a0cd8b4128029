"""The example of docs/adding_a_model.md does what is said there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

import main
from models import MODELS, Preset, settings
from tests.models import test_every_model as every_model

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "adding_a_model.md"
BLOCKS = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def documented(tmp_path, monkeypatch):
    """The documented module, registry line and setting, in place."""
    module, registry_line, setting_line = BLOCKS
    assert registry_line.strip() == '"mmd_vae": Preset("models.mmd_vae:MMDVAE", "conv"),'
    (tmp_path / "mmd_vae_of_the_document.py").write_text(module, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(MODELS, "mmd_vae", Preset("mmd_vae_of_the_document:MMDVAE", "conv"))
    (setting,) = eval(setting_line.strip(), vars(settings))
    monkeypatch.setitem(settings.GROUPS, "other models", [*settings.GROUPS["other models"], setting])
    monkeypatch.setitem(settings.SETTINGS, setting.name, setting)


def test_the_example_is_under_60_lines() -> None:
    assert sum(line.strip() != "" for block in BLOCKS for line in block.splitlines()) < 60
    assert max(len(line) for block in BLOCKS for line in block.splitlines()) <= 120


@pytest.mark.slow
def test_the_documented_command_trains_the_documented_model(documented, small_dsprites, tmp_path, capsys) -> None:
    (command,) = re.findall(r"python main.py (.*)\n", DOCUMENT.read_text(encoding="utf-8"))
    paths = [f"--data-path={small_dsprites}", f"--log-path={tmp_path / 'logs'}"]
    short = ["--max-steps=2", "--batch-size=8", "--end-metrics=no", "--quiet", "--num-threads=1"]
    assert main.main([*command.split(), *paths, *short]) == 0
    lines = (tmp_path / "logs/version_0/log_metrics.txt").read_text()
    values = dict(re.findall(r"metric/(\w+) : (\S+)", lines))
    total = float(values["recon"]) + 500 * float(values["mmd"])
    assert float(values["loss"]) == pytest.approx(total, rel=1e-4)
    assert "--hy_mmd" in main.build_parser().format_help()


@pytest.mark.parametrize(
    "statement",
    [
        every_model.test_total_is_the_weighted_sum_of_the_named_terms,
        every_model.test_equation_and_flags_are_what_the_model_has,
        every_model.test_a_batch_of_one_has_finite_terms,
        every_model.test_all_randomness_of_a_step_comes_from_the_noise,
        every_model.test_every_parameter_has_one_optimiser,
        every_model.test_reference_state_dict_goes_there_and_back,
    ],
    ids=lambda statement: statement.__name__,
)
def test_the_documented_model_is_as_every_model_must_be(documented, statement) -> None:
    statement("mmd_vae")


def test_the_documented_discrepancy_is_that_of_samples(documented) -> None:
    from mmd_vae_of_the_document import mmd_to_prior

    generator = torch.Generator().manual_seed(0)
    prior = torch.randn(3000, 3, generator=generator)
    z = 0.5 * torch.randn(300, 3, generator=generator) + 1

    def kernel(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.exp(-torch.cdist(a, b).square() / 3).mean()

    sampled = kernel(z, z) - 2 * kernel(z, prior) + kernel(prior, prior)
    torch.testing.assert_close(mmd_to_prior(z), sampled, rtol=0.02, atol=0)
    assert mmd_to_prior(prior) < 1e-3
