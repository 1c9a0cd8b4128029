"""The comparison with a stored baseline: scatter is forgiven, a slow-down is not."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import pytest

from benchmarks import regression


@pytest.mark.parametrize(
    ("shares", "status"),
    [([0.5], 0), ([0.46], 0), ([0.4, 0.5, 0.5], 0), ([0.44, 0.44, 0.44], 1), ([0.44, 0.5, 0.43], 1)],
    ids=["equal", "within ten percent", "slow once", "slow", "slow but once"],
)
def test_a_slow_down_of_more_than_ten_percent_is_noticed(shares, status, tmp_path, monkeypatch, capsys) -> None:
    args = SimpleNamespace(cpu_time=False, threads=2)
    baseline = tmp_path / "baseline.json"
    baseline.write_text(json.dumps({regression.key(args): {"step": 0.5}}))
    measured = iter(shares)
    monkeypatch.setattr(regression, "BASELINE", baseline)
    monkeypatch.setattr(regression, "Yardstick", lambda args: SimpleNamespace(describe=lambda: "product"))
    monkeypatch.setattr(regression, "measure", lambda yardstick: {"step": next(measured)})
    monkeypatch.setattr(sys, "argv", ["regression", "--threads=2"])
    assert regression.main() == status
    assert ("SLOWER" in capsys.readouterr().out) is bool(status)
    assert next(measured, None) is None  # nothing was measured more, or less, often than it needs
