"""The example of docs/adding_a_metric.md does what is said there."""

import re
from pathlib import Path

import numpy as np
import pytest

from metrics import METRICS, SCORES, evaluate
from metrics.cli import main
from metrics.info import Score
from metrics.protocol import Metric

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "adding_a_metric.md"
RNG = np.random.default_rng(0)
FACTORS = RNG.integers(0, 5, (200, 2))
CODES = np.exp(FACTORS.astype(float)) * np.array([1.0, -1.0])


@pytest.fixture
def monotonicity(monkeypatch):
    """The documented function, in the registries as documented."""
    module, lines = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    names = {"Metric": Metric, "Score": Score}
    exec(module, names)
    metric, score = (eval(line, names) for line in lines.splitlines())
    monkeypatch.setitem(METRICS, "monotonicity", metric)
    monkeypatch.setitem(SCORES, "monotonicity", score)
    return names["monotonicity"]


def test_the_documented_metric_scores(monotonicity):
    assert monotonicity(CODES, FACTORS) == {"monotonicity": pytest.approx(1)}
    assert evaluate(CODES, FACTORS, ["monotonicity"])["monotonicity"] == pytest.approx(1)
    assert evaluate(RNG.standard_normal((200, 3)), FACTORS, ["monotonicity"])["monotonicity"] < 0.3
    assert evaluate(np.ones((200, 3)), FACTORS, ["monotonicity"])["monotonicity"] == 0
    assert evaluate(CODES, FACTORS, ["monotonicity"], bootstrap=3)["monotonicity_se"] >= 0


def test_the_documented_metric_is_on_the_command_line(monotonicity, tmp_path, capsys):
    np.savez(tmp_path / "codes.npz", z=CODES, factors=FACTORS)
    assert main([str(tmp_path / "codes.npz"), "--metrics", "monotonicity"]) == 0
    assert main(["--list"]) == 0
    assert "does some latent rise or fall with each factor?" in capsys.readouterr().out
