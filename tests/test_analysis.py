"""Analyses of runs: rotations of pairs of latents that put factors onto latents, and measures of the basis."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from metrics.rotations import rotated
from models.lie_vae import LieGroupVAE
from study import __main__ as command_line
from study import analysis, harvest, plan, rotations
from system.files import read_json, write_tensors


def grid_of_factors() -> np.ndarray:
    """All combinations of two factors of 12 values: int64 `[144, 2]`."""
    return np.indices((12, 12)).reshape(2, -1).T


def codes_of(factors: np.ndarray) -> np.ndarray:
    """Both factors, centred, and a latent without information: float64 `[n, 3]`."""
    noise = np.random.default_rng(0).normal(size=(len(factors), 1))
    return np.hstack([factors - factors.mean(axis=0), noise])  # [n, 3]


def scored_run(folder: Path, **arrays) -> Path:
    """A run of the plan that was scored once; its codes.npz holds the arrays."""
    configuration = plan.by_name("small_vae")
    run = folder / "version_0"
    run.mkdir()
    (run / "args.json").write_text(json.dumps({**configuration.flags, "seed": 0, "data_source": "replica"}))
    (run / "log_metrics.txt").write_text("metric/loss : 1\ndmetric/fac_eval : 0.5\n")
    np.savez(run / "codes.npz", **arrays)
    return run


def test_scores_before_and_after_stand_in_the_record_and_on_the_page(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(rotations, "METRICS", ("mig",))  # the trees of DCI take seconds
    monkeypatch.setattr(rotations, "SHOWN", ("MIG, all factors",))
    factors = grid_of_factors()
    run = scored_run(tmp_path, codes=rotated(codes_of(factors), 0, 1, 40), factors=factors)
    into = f"--into={tmp_path / 'study'}"
    assert command_line.main([into, "--analyse", str(run)]) == 2
    assert "--harvest first" in capsys.readouterr().err
    folder = harvest.harvest(run, tmp_path / "study")
    found = analysis.analyse(run, tmp_path / "study")
    assert found == read_json(folder / "analysis.json") | {"rotations": [(0, 1, -40)]}
    before, after = (100 * found[when]["MIG, all factors"] for when in ("before", "after"))
    assert after > before + 20
    row = f"| `small_vae` | 1 | 1 | {before:.1f} → {after:.1f} |"
    assert row in analysis.rotation_table(tmp_path / "study", plan.members("small"))


def test_the_basis_is_measured_from_the_weights(tmp_path):
    model = LieGroupVAE(1, subgroup_sizes=[9], subspace_sizes=[2])
    rotation = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 0]])
    other = torch.diag(torch.tensor([0.0, 0, 2]))  # acts on another axis
    codes = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
    for second, product in ((other, 0), (rotation, 2**-0.5)):
        for parameter, matrix in zip(model.decoder.lie_alg_basis_ls, (rotation, second), strict=True):
            parameter.data[0] = matrix
        write_tensors(model.reference_state_dict(), tmp_path / "model.pt")
        found = analysis.basis(tmp_path / "model.pt", codes)
        assert found["size"] == 3 and found["commutator"] == 0 and found["decomposition"] < 1e-5
        assert found["product"] == pytest.approx(product)
