"""Rotations of pairs of latents that put factors onto latents."""

from __future__ import annotations

import numpy as np

from study import rotations


def grid_of_factors() -> np.ndarray:
    """All combinations of two factors of 12 values: int64 `[144, 2]`."""
    return np.indices((12, 12)).reshape(2, -1).T


def codes_of(factors: np.ndarray) -> np.ndarray:
    """Both factors, centred, and a latent without information: float64 `[n, 3]`."""
    noise = np.random.default_rng(0).normal(size=(len(factors), 1))
    return np.hstack([factors - factors.mean(axis=0), noise])  # [n, 3]


def test_a_rotation_of_two_latents_is_found_and_undone():
    factors = grid_of_factors()
    codes = codes_of(factors)
    turned, found = rotations.aligned(rotations.rotated(codes, 0, 1, 30), factors)
    assert found == [(0, 1, -30)]
    np.testing.assert_allclose(turned, codes, atol=1e-12)


def test_nothing_is_rotated_where_each_factor_has_its_latent():
    factors = grid_of_factors()
    codes = codes_of(factors)
    turned, found = rotations.aligned(codes, factors)
    assert found == [] and (turned == codes).all()


def test_the_table_has_each_score_before_and_after(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(rotations, "METRICS", ("mig",))  # the trees of DCI take seconds
    monkeypatch.setattr(rotations, "SHOWN", ("MIG, all factors",))
    factors = grid_of_factors()
    np.savez(tmp_path / "codes.npz", codes=rotations.rotated(codes_of(factors), 0, 1, 40), factors=factors)
    assert rotations.main([str(tmp_path / "codes.npz")]) == 0
    cells = capsys.readouterr().out.splitlines()[-1].strip("| ").split(" | ")
    before, after = map(float, cells[2].split(" → "))
    assert cells[1] == "z0 z1 -40°" and after > before + 20


def test_a_file_without_factors_is_refused(tmp_path, capsys):
    np.savez(tmp_path / "other.npz", codes=np.zeros((3, 2)))
    assert rotations.main([str(tmp_path / "other.npz")]) == 2
    assert "name the codes.npz of a scored run" in capsys.readouterr().err
