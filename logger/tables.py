"""Tables of runs: their scores, and paired differences over seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas

from logger.reading import Run, natural
from metrics.info import COLUMNS
from system.roles import tells_apart

ABOUT = ["path", "folder", "started", "time", "seed"]  # columns besides the scores
# Entries of a protocol: scores that differ in one are not comparable.
MEASURED = ("dataset", "data_source", "images", "preset")
LEAST_PAIRS = 3  # of an interval


def settings(run: Run) -> dict:
    """The arguments that tell groups of runs apart: those that change results, but for the seed."""
    return {name: value for name, value in run.args.items() if tells_apart(name) and name not in ("seed", "torch")}


def table(runs: Sequence[Run], columns: Mapping[str, str] = COLUMNS) -> pandas.DataFrame:
    """One row per run: `path`, `folder`, `started`, `time`, `seed` (text or None), and the scores (NaN if missing).

    Args:
        columns: name of the column -> name of the score in the log.
    """
    rows = [
        {
            "path": run.path,
            "folder": run.path.parent,
            "started": run.started,
            "time": run.time,
            "seed": None if run.args.get("seed") is None else str(run.args["seed"]),
            **{column: run.scores.get(score, math.nan) for column, score in columns.items()},
        }
        for run in runs
    ]
    result = pandas.DataFrame(rows, columns=[*ABOUT, *columns])
    return result.astype(dict.fromkeys(columns, float)).replace([np.inf, -np.inf], np.nan)


def spread(values: pandas.DataFrame, groups: Sequence) -> pandas.DataFrame:
    """Mean, standard deviation (n - 1) and number of the values that are not NaN, by the group of each row.

    Returns: one row a group, with the columns (column of `values`, `mean` or `std` or `count`).
    """
    return values.groupby(np.asarray(groups)).agg(["mean", "std", "count"])


def paired(first: pandas.DataFrame, second: pandas.DataFrame) -> pandas.DataFrame:
    """Differences first minus second, paired by seed. Of several runs with the same seed, `newest` is used.

    Args:
        first, second: rows of `table`.
    Returns:
        One row per score: `difference` (mean over pairs), `low` and `high` (its 95% confidence interval, Student's t),
        `seeds` (number of pairs). Intervals of fewer than LEAST_PAIRS pairs, which say nothing, are NaN.
    """
    from scipy.stats import t

    by_seed = [newest(rows).set_index("seed") for rows in (first, second)]
    scores = first.columns.drop(ABOUT)
    gaps = (by_seed[0][scores] - by_seed[1][scores]).astype(float)  # [seeds of either, scores]; NaN if one is missing
    seeds, mean = gaps.count(), gaps.mean()
    half = (t.ppf(0.975, np.maximum(seeds - 1, 1)) * gaps.std() / np.sqrt(seeds)).where(seeds >= LEAST_PAIRS)
    return pandas.DataFrame({"difference": mean, "low": mean - half, "high": mean + half, "seeds": seeds})


def newest(rows: pandas.DataFrame) -> pandas.DataFrame:
    """Of several runs of one seed the one that was started last, by the recorded time, then by its number.

    Rows of `table` without a seed are left out.
    """
    seeded = rows.dropna(subset="seed")
    started = [(start, natural(path.name)) for start, path in zip(seeded.started, seeded.path, strict=True)]
    ordered = seeded.iloc[sorted(range(len(seeded)), key=started.__getitem__)]
    return ordered.drop_duplicates("seed", keep="last")


def scored_on(run: Run) -> str:
    """Data and preset of the scores of a run, as in `dsprites, replica, 737280 images, full`: comparable if equal."""
    data = run.protocol.get("dataset") or run.args.get("eval_dataset") or run.args.get("dataset") or "?"
    images = f"{run.protocol['images']} images" if "images" in run.protocol else None
    parts = (data, run.protocol.get("data_source"), images, run.protocol.get("preset", "full"))
    return ", ".join(str(part) for part in parts if part)


def doubts(runs: Sequence[Run]) -> list[str]:
    """Why a mean over these runs may mislead: unfinished, partly scored or collapsed ones, protocols, arguments."""
    found = []
    if unfinished := sum(run.state not in ("finished", "unknown") for run in runs):
        found.append(f"{unfinished} of {len(runs)} runs not finished")
    for name in (*MEASURED, "step"):
        values = sorted({str(run.protocol[name]) for run in runs if name in run.protocol})
        if len(values) > 1:
            found.append(f"scores of different {name} ({', '.join(values)}) are averaged")
    shared = set.intersection(*(set(settings(run)) for run in runs)) if runs else set()
    arguments = {name: sorted({str(run.args[name]) for run in runs}) for name in sorted(shared)}
    if differing := [f"{name} ({', '.join(values)})" for name, values in arguments.items() if len(values) > 1]:
        found.append(f"runs of different arguments are averaged: {', '.join(differing)}")
    seeds = [str(run.args["seed"]) for run in runs if run.args.get("seed") is not None]
    repeated = sorted({seed for seed in seeds if seeds.count(seed) > 1})
    if repeated:
        found.append(f"more than one run has seed {', '.join(repeated)}; each counts")
    counts = table(runs)[list(COLUMNS)].count()
    if partly := [f"{column} ({count})" for column, count in counts.items() if 0 < count < counts.max()]:
        found.append(f"some scores are missing, and their means are of fewer runs than the others: {', '.join(partly)}")
    if collapsed := sum(run.scores.get("fac_num_act") == 0 for run in runs):
        found.append(f"{collapsed} of {len(runs)} runs have no active latent: their codes say nothing about the images")
    return found
