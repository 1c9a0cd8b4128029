"""Tables of runs: their scores, and paired differences over seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas

from logger.reading import Run
from metrics.registry import columns as declared_columns

# Column of a table -> name of the score in the log (without `dmetric/`), as declared by the metrics.
COLUMNS = {column: score.name for column, score in declared_columns().items()}


def table(runs: Sequence[Run], columns: Mapping[str, str] = COLUMNS) -> pandas.DataFrame:
    """One row per run: `path`, `folder`, `time`, `seed` (text or None), and the scores (NaN if missing).

    Args:
        columns: name of the column -> name of the score in the log.
    """
    rows = [
        {
            "path": run.path,
            "folder": run.path.parent,
            "time": run.time,
            "seed": None if run.args.get("seed") is None else str(run.args["seed"]),
            **{column: run.scores.get(score, math.nan) for column, score in columns.items()},
        }
        for run in runs
    ]
    result = pandas.DataFrame(rows, columns=["path", "folder", "time", "seed", *columns])
    return result.astype(dict.fromkeys(columns, float)).replace([np.inf, -np.inf], np.nan)


def paired(first: pandas.DataFrame, second: pandas.DataFrame, confidence: float = 0.95) -> pandas.DataFrame:
    """Differences first minus second, paired by seed. Of several runs with the same seed, the newest is used.

    Args:
        first, second: rows of `table`.
    Returns:
        One row per score: `difference` (mean over pairs), `low` and `high` (its confidence interval, Student's t),
        `seeds` (number of pairs). NaN if undefined: an interval needs two pairs.
    """
    from scipy.stats import t

    by_seed = [
        rows.dropna(subset="seed").sort_values("time").drop_duplicates("seed", keep="last").set_index("seed")
        for rows in (first, second)
    ]
    scores = first.columns.drop(["path", "folder", "time", "seed"])
    gaps = (by_seed[0][scores] - by_seed[1][scores]).astype(float)  # [seeds of either, scores]; NaN if one is missing
    seeds, mean = gaps.count(), gaps.mean()
    half = t.ppf((1 + confidence) / 2, np.maximum(seeds - 1, 1)) * gaps.std() / np.sqrt(seeds)
    return pandas.DataFrame({"difference": mean, "low": mean - half, "high": mean + half, "seeds": seeds})
