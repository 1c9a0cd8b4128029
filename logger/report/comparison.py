"""The report of several runs: groups A, B, C, one table, curves, the same traversals side by side."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np
import pandas

from logger import score_guide
from logger.catalogue import DIAGNOSTICS
from logger.reading import Run
from logger.report import charts
from logger.report.page import picture_of, render
from logger.score_guide import number
from logger.tables import doubts, paired, scored_on, settings, spread, table
from system.errors import UserError

SHOWN = 5  # runs of a group whose traversals are in the page


def page(runs: Sequence[Run], left_out: Sequence[str] = (), baseline: str | None = None) -> str:
    """The page of several runs. Raises UserError if there is no group with the letter `baseline`."""
    differing, shared = grouped(runs)
    letter_of = {what: _letter(rank) for rank, what in enumerate(dict.fromkeys(differing))}
    letters = [letter_of[what] for what in differing]  # of each run
    base = "A" if baseline is None else baseline.upper()
    if base not in letters:
        raise UserError(f"--baseline {baseline}: there is no such group; choose from {', '.join(letter_of.values())}")
    groups: dict[str, list[Run]] = {letter: [] for letter in letters}
    for letter, run in zip(letters, runs, strict=True):
        groups[letter].append(run)
    doubtful = [f"{letter}: {doubt}." for letter, members in groups.items() for doubt in doubts(members)]
    seeds = {letter: ", ".join(str(run.args.get("seed")) for run in members) for letter, members in groups.items()}
    return render(
        "comparison.html",
        runs,
        left_out,
        [*_protocols_note(groups), *doubtful],
        title=f"{len(runs)} runs in {len(groups)} group{'s' if len(groups) > 1 else ''}",
        groups=[*groups],
        definitions=[[letter, what, str(len(groups[letter])), seeds[letter]] for what, letter in letter_of.items()],
        scores=_scores(runs, letters, base),
        base=base,
        curves=charts.curves_of_groups(groups),
        over_training=charts.scores_over_training(groups),
        traversals={letter: _traversals(members) for letter, members in groups.items()},
        numbers=_diagnostics(runs, letters),
        arguments=[[name, str(value)] for name, value in shared.items()],
        directories=[[letter, str(run.path)] for letter, members in groups.items() for run in members],
    )


def _letter(rank: int) -> str:
    """A, B, ... Z, A1, B1, ..."""
    return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[rank % 26] + (str(rank // 26) if rank >= 26 else "")


def grouped(runs: Sequence[Run]) -> tuple[list[str], dict]:
    """For each run what tells its group from others, such as `hy_hes 0, model lie_group`; and what all runs share.

    Runs of a group have equal `tables.settings`: all arguments but the seed, paths and the like.
    """
    kept = [settings(run) for run in runs]
    names = sorted({name for args in kept for name in args}, key=lambda name: (name not in ("model", "dataset"), name))
    values = {name: {json.dumps(args.get(name), default=str) for args in kept} for name in names}
    differing = [name for name in names if len(values[name]) > 1]
    shared = {name: kept[0][name] for name in names if name not in differing}
    return [", ".join(f"{key} {_short(args.get(key))}" for key in differing) or "all runs" for args in kept], shared


def _short(value) -> str:
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)


def _protocols_note(groups: dict[str, list[Run]]) -> list[str]:
    """A warning if groups were scored in different ways."""
    ways = {name: " / ".join(sorted({scored_on(r) for r in runs if r.scores})) for name, runs in groups.items()}
    listed = "; ".join(f"{name}: {way}" for name, way in ways.items() if way)
    different = len(set(filter(None, ways.values()))) > 1
    warning = f"The groups were scored in different ways, so that their scores do not compare. {listed}."
    return [warning] if different else []


def _scores(runs: Sequence[Run], letters: Sequence[str], base: str) -> list[tuple[str, list[str], list]]:
    """Question, head, rows: mean ± sd and n of each group, and below it the difference to `base`, paired by seed."""
    names = {name: name for run in runs for name in run.scores}
    if not names:
        return []
    samples = table(runs, names)
    means = spread(samples[list(names)], letters)
    tables = dict(list(samples.groupby(np.array(letters), sort=False)))
    gaps = {letter: paired(rows, tables[base]) for letter, rows in tables.items() if letter != base}
    found = []
    for question, scores in score_guide.grouped(names).items():
        rows = []
        for score in scores:
            row: list = [(score.name, score.question.replace("`", ""), False)]
            for letter in tables:
                below, bold = _difference(gaps[letter].loc[score.key], base) if letter in gaps else ("", False)
                row.append((_mean(means.loc[letter, score.key]), below, bold))
            rows.append([*row, f"{score.better} {score_guide.ideal(score)}".strip()])
        found.append((question, ["score", *tables, "better, ideal"], rows))
    return found


def _difference(gap: pandas.Series, base: str) -> tuple[str, bool]:
    """The paired difference as text, and whether its 95% interval excludes 0; empty for fewer than two seeds."""
    if gap.seeds < 2:
        return "", False
    interval = "" if math.isnan(gap.low) else f" [{gap.low:+.3f}, {gap.high:+.3f}]"
    text = f"{gap.difference:+.3f}{interval} to {base}, {gap.seeds:.0f} seeds"
    return text, bool(gap.low > 0 or gap.high < 0)


def _mean(values: pandas.Series) -> str:
    """A row of `tables.spread` as text: mean ± sample standard deviation (n); of one value, without the deviation."""
    if not values["count"]:
        return "–"
    deviation = f" ±\u00a0{values['std']:.3f}" if values["count"] > 1 else ""
    shown = f"{values['mean']:.3f}" if abs(values["mean"]) < 100 else number(values["mean"])
    return f"{shown}{deviation} ({values['count']:.0f})"


def _diagnostics(runs: Sequence[Run], letters: Sequence[str]) -> list[list[str]]:
    """The numbers of the group and its symmetries, by group; empty if no run has them."""
    last = pandas.DataFrame([{tag: run.last(tag) for tag in DIAGNOSTICS} for run in runs], dtype=float)
    means = spread(last, letters)
    tags = [tag for tag in DIAGNOSTICS if last[tag].notna().any()]
    return [[DIAGNOSTICS[tag], *(_mean(means.loc[letter, tag]) for letter in dict.fromkeys(letters))] for tag in tags]


def _traversals(runs: Sequence[Run]) -> list:
    """(seed, picture or sentence) of the first runs of a group."""
    drawn = [(run.args.get("seed"), picture_of(run, "traversals")) for run in runs]
    return [(seed, figure) for seed, figure in drawn if figure][:SHOWN]
