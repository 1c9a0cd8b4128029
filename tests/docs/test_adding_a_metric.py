"""The example of docs/adding_a_metric.md does what is said there."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import metrics
from metrics import METRICS, evaluate, registry
from metrics.cli import main

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "adding_a_metric.md"
RNG = np.random.default_rng(0)
FACTORS = RNG.integers(0, 5, (200, 2))
CODES = np.exp(FACTORS.astype(float)) * np.array([1.0, -1.0])


@pytest.fixture
def monotonicity(tmp_path, monkeypatch):
    """The documented file in the folder of the metrics, as far as Python can tell."""
    (module,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "monotonicity.py").write_text(module, encoding="utf-8")
    monkeypatch.setattr(metrics, "__path__", [*metrics.__path__, str(tmp_path)])
    monkeypatch.setitem(METRICS, "monotonicity", registry.discover()["monotonicity"])


def test_the_documented_metric_is_found_and_scores(monotonicity):
    assert evaluate(CODES, FACTORS, ["monotonicity"])["monotonicity"] == pytest.approx(1)
    assert evaluate(RNG.standard_normal((200, 3)), FACTORS, ["monotonicity"])["monotonicity"] < 0.3
    assert evaluate(np.ones((200, 3)), FACTORS, ["monotonicity"])["monotonicity"] == 0
    assert evaluate(CODES, FACTORS, ["monotonicity"], bootstrap=3)["monotonicity_se"] >= 0
    moved = evaluate(CODES * 1e-7 + 1, FACTORS, ["monotonicity"])
    assert moved["monotonicity"] == pytest.approx(1)


def test_the_documented_metric_has_its_column_and_its_line(monotonicity, capsys):
    assert list(registry.columns())[-1] == "mono"
    assert registry.scores()["monotonicity"].question == metrics.metric.ONE_FACTOR
    assert main(["--list"]) == 0
    assert "rank correlation of each factor with its best latent" in capsys.readouterr().out


def test_the_documented_command_scores(monotonicity, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("codes.npz", z=CODES, factors=FACTORS)
    (command,) = re.findall(r"python -m metrics (.*)\n", DOCUMENT.read_text(encoding="utf-8"))
    assert main(command.split()) == 0
    assert json.loads(Path("codes.npz.scores.json").read_text())["scores"]["monotonicity"] == pytest.approx(1)


def test_every_metric_file_ends_with_its_one_metric():
    folder = Path(metrics.__file__).parent
    declaring = [path for path in folder.glob("*.py") if re.search(r"^METRIC = ", path.read_text(), re.MULTILINE)]
    assert len(declaring) == len(METRICS)
    for path in declaring:
        assert re.search(r"^METRIC = Metric\((?:\n(?:    .*)?)*\n\)\n\Z", path.read_text(), re.MULTILINE), path.name
    titles = [score.title for score in registry.scores().values()]
    assert len(set(titles)) == len(titles)


def test_the_documented_table_reads_every_score_as_it_is_declared():
    document = (DOCUMENT.parent / "metrics.md").read_text(encoding="utf-8")
    tables = document.partition("## Every metric on five codes")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in tables.splitlines() if line.startswith("| `")]
    assert {row[0].strip("`"): row[-1] for row in rows} == {name: s.reading for name, s in registry.scores().items()}
