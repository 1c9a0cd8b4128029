"""The table of scores on five codes in docs/metrics.md is what the metrics compute; its words are those of info.py."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

from metrics import METRICS, PRESETS, SCORES, evaluate, udr

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
SIZES = (5, 6, 7, 8, 9)
CODES = ("ideal", "rotated", "redundant", "independent", "collapsed")
TREES = ("dci",)
CHEAP = [name for name, metric in METRICS.items() if metric.needs != "decoder" and name not in TREES]


def code(name: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Codes `[15120, d]` and factors `[15120, 5]`; `seed` draws noise and rotation."""
    factors = np.indices(SIZES).reshape(5, -1).T  # [n, 5]
    sizes, rng = np.array(SIZES), np.random.default_rng(seed)
    ideal = (factors - (sizes - 1) / 2) / (sizes / np.sqrt(12))  # [n, 5], deviation about 1
    noise = rng.standard_normal((len(factors), 10))
    rotation = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    codes = {
        "ideal": ideal + 0.02 * noise[:, :5],
        "rotated": ideal @ rotation + 0.02 * noise[:, :5],
        "redundant": np.concatenate([ideal, ideal], axis=1) + 0.02 * noise,
        "independent": noise[:, :5],
        "collapsed": 0 * ideal,
    }
    return codes[name], factors


def measured(name: str, metrics) -> dict[str, float]:
    codes, factors = code(name)
    return {**evaluate(codes, factors, metrics, workers=1), "UDR": udr([codes, code(name, 1)[0]])["UDR"]}


def rows() -> dict[str, list[str]]:
    page = DOCUMENT.read_text(encoding="utf-8")
    table = page.partition("## Every score on five codes")[2].partition("\n## ")[0]
    lines = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| `")]
    return {cells[0].strip("`"): cells[1:] for cells in lines}


def test_the_table_has_every_score_in_the_words_of_the_screen():
    assert {key: cells[-1] for key, cells in rows().items()} == {key: score.question for key, score in SCORES.items()}
    for score in SCORES.values():
        assert (score.group in DOCUMENT.read_text(encoding="utf-8")) and score.name
    assert len({score.name for score in SCORES.values()}) == len(SCORES)


@pytest.mark.parametrize("name", CODES)
@pytest.mark.parametrize("metrics", [CHEAP, pytest.param(list(TREES), marks=pytest.mark.slow)], ids=["cheap", "trees"])
def test_the_table_of_scores_is_what_is_computed(name, metrics):
    for key, value in measured(name, metrics).items():
        assert value == pytest.approx(float(rows()[key][CODES.index(name)]), abs=0.012), key


def test_every_metric_computes_scores_that_are_declared():
    assert {key for metric in METRICS.values() for key in metric.keys} == SCORES.keys() - {"UDR"}


def test_examples_in_the_docstrings_are_right():
    import doctest
    import importlib

    for name in ("mig", "sap", "dci", "factor_vae", "beta_vae", "modularity", "explicitness", "factor_leakage", "irs",
                 "unsupervised", "udr", "downstream", "true_independence"):  # fmt: skip
        module = importlib.import_module(f"metrics.{name}")
        found = doctest.testmod(module)
        assert found.attempted and not found.failed, name


def test_the_counts_of_the_protocol_are_on_the_page():
    section = DOCUMENT.read_text(encoding="utf-8").partition("## Protocol")[2].partition("\n## ")[0]
    for preset in PRESETS.values():
        counts = {name: f"{n:,}" for name, n in dataclasses.asdict(preset).items() if name != "name" and n < 2**40}
        assert [name for name, count in counts.items() if not re.search(rf"\b{count}\b", section)] == []
