"""Rows of the table: mean, spread and quantiles of every score over the runs of a configuration; paired differences."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from results.runs import COLUMNS, Found, Run, label

LOWER_IS_BETTER = {"fl"}
NOT_A_SCORE = {"fac_dim"}  # a count of active latents: nothing is best


@dataclass
class Row:
    """One configuration: its name, its runs, and where they lie."""

    config: str
    path: Path
    runs: list[Run]

    def values(self, column: str) -> np.ndarray:
        """The score of every run that has it. `[n]`"""
        return np.array([run.scores[column] for run in self.runs if column in run.scores])

    def statistic(self, column: str, name: str) -> float | None:
        """`mean`, `std` (of a sample: n - 1), `median` or `iqr` (third minus first quartile). None where undefined."""
        values = self.values(column)
        if len(values) == 0 or (name == "std" and len(values) < 2):
            return None
        return float(STATISTICS[name](values))

    @property
    def time(self) -> str:
        """When the newest of its runs was last written."""
        newest = max((run.time for run in self.runs), default=None)
        return "-" if newest is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(newest))


def _iqr(values: np.ndarray) -> float:
    first, third = np.quantile(values, [0.25, 0.75])
    return third - first


STATISTICS = {"mean": np.mean, "std": lambda values: np.std(values, ddof=1), "median": np.median, "iqr": _iqr}


def rows_by_directory(found: Found, variables: Sequence[str]) -> list[Row]:
    """One row an experiment directory, also one that has no run that counts."""
    return [Row(label(runs, variables) if runs else "-", path, runs) for path, runs in found.experiments.items()]


def rows_by_arguments(found: Found, names: Sequence[str]) -> list[Row]:
    """One row for every combination of values that these recorded arguments have, wherever the runs lie."""
    groups: dict[str, list[Run]] = {}
    for run in found.runs:
        groups.setdefault(label([run], names), []).append(run)
    return [
        Row(config, Path(os.path.commonpath([run.path.parent for run in runs])), runs)
        for config, runs in sorted(groups.items())
    ]


def best_rows(rows: Sequence[Row]) -> dict[str, int]:
    """Column -> number of the row with the best mean; none is best where all are alike."""
    best = {}
    for column in COLUMNS.keys() - NOT_A_SCORE:
        means = {i: mean for i, row in enumerate(rows) if (mean := row.statistic(column, "mean")) is not None}
        if means and (len(means) == 1 or len(set(means.values())) > 1):
            best[column] = (min if column in LOWER_IS_BETTER else max)(means, key=means.get)
    return best


@dataclass
class Difference:
    """First minus second, over the seeds that both have. None where it is undefined."""

    column: str
    seeds: int
    mean: float | None
    low: float | None  # 95% confidence interval of the mean (Student's t over the pairs)
    high: float | None


def paired(first: Row, second: Row, confidence: float = 0.95) -> list[Difference]:
    """The difference of every score between two configurations, seed by seed; of runs with one seed, the newest."""
    from scipy.stats import t

    by_seed = [
        {
            run.args["seed"]: run
            for run in sorted(row.runs, key=lambda run: run.time)
            if run.args.get("seed") is not None
        }
        for row in (first, second)
    ]
    common = sorted(by_seed[0].keys() & by_seed[1].keys())
    found = []
    for column in COLUMNS:
        pairs = [[runs[seed].scores.get(column) for runs in by_seed] for seed in common]
        gaps = np.array([a - b for a, b in pairs if a is not None and b is not None])  # [pairs]
        n = len(gaps)
        mean = float(gaps.mean()) if n else None
        half = float(t.ppf((1 + confidence) / 2, n - 1) * gaps.std(ddof=1) / np.sqrt(n)) if n > 1 else None
        found.append(Difference(column, n, mean, *((mean - half, mean + half) if half is not None else (None, None))))
    return found
