"""The report of several runs: groups A, B, C, one table, curves, the same traversals side by side."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import pandas

from logger import score_guide
from logger.catalogue import DIAGNOSTICS
from logger.reading import Run
from logger.report import charts
from logger.report.page import Table, left_out_note, picture_of, render, replica_note
from logger.score_guide import number
from logger.tables import ABOUT, doubts, paired, scored_on, settings, table
from system.errors import UserError

SHOWN = 5  # runs of a group whose traversals are in the page


def page(runs: Sequence[Run], left_out: Sequence[str] = (), baseline: str | None = None) -> str:
    """The page of several runs. Raises UserError if there is no group with the letter `baseline`."""
    named, shared = grouped(runs)
    letters = [_letter(rank) for rank in range(len(named))]
    if baseline is not None and baseline.upper() not in letters:
        raise UserError(f"--baseline {baseline}: there is no such group; choose from {', '.join(letters)}")
    groups = dict(zip(letters, named.values(), strict=True))
    base = (baseline or "A").upper()
    notes = [f"{letter}: {doubt}." for letter, members in groups.items() for doubt in doubts(members)]
    definitions = [
        [letter, what, str(len(members)), ", ".join(str(run.args.get("seed")) for run in members)]
        for letter, (what, members) in zip(letters, named.items(), strict=True)
    ]
    return render(
        "comparison.html",
        [replica_note(runs), left_out_note(left_out), _protocols_note(groups), *notes],
        title=f"{len(runs)} runs in {len(groups)} group{'s' if len(groups) > 1 else ''}",
        definitions=Table(["group", "what differs", "runs", "seeds"], definitions, 4),
        scores=_scores(groups, base),
        base=base,
        compared=len(groups) > 1,
        curves=charts.curves_of_groups(list(groups.items())),
        over_training=charts.scores_over_training(list(groups.items())),
        traversals={letter: _traversals(members) for letter, members in groups.items()},
        numbers=_diagnostics(groups),
        arguments=Table(["argument", "value"], [[name, str(value)] for name, value in shared.items()], 2),
        directories=Table(
            ["group", "directory"], [[g, str(run.path)] for g, runs in groups.items() for run in runs], 2
        ),
    )


def _letter(rank: int) -> str:
    """A, B, ... Z, A1, B1, ..."""
    return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[rank % 26] + (str(rank // 26) if rank >= 26 else "")


def grouped(runs: Sequence[Run]) -> tuple[dict[str, list[Run]], dict]:
    """Group runs with equal arguments, apart from those of `tables.settings` (seed, paths, ...).

    Returns: what differs between groups, such as `hy_hes 0, model lie_group` -> its runs; and the arguments that all
        runs share.
    """
    kept = [settings(run) for run in runs]
    names = sorted({name for args in kept for name in args}, key=lambda name: (name not in ("model", "dataset"), name))
    values = {name: {json.dumps(args.get(name), default=str) for args in kept} for name in names}
    differing = [name for name in names if len(values[name]) > 1]
    shared = {name: kept[0][name] for name in names if name not in differing}
    groups: dict[str, list[Run]] = {}
    for run, args in zip(runs, kept, strict=True):
        name = ", ".join(f"{key} {_short(args.get(key))}" for key in differing) or "all runs"
        groups.setdefault(name, []).append(run)
    return groups, shared


def _short(value) -> str:
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)


def _protocols_note(groups: dict[str, list[Run]]) -> str:
    """A warning if groups were scored in different ways; else empty."""
    ways = {name: " / ".join(sorted({scored_on(r) for r in runs if r.scores})) for name, runs in groups.items()}
    ways = {name: way for name, way in ways.items() if way}
    if len(set(ways.values())) < 2:
        return ""
    listed = "; ".join(f"{name}: {way}" for name, way in ways.items())
    return f"The groups were scored in different ways, so that their scores do not compare. {listed}."


def _scores(groups: dict[str, list[Run]], base: str) -> list[tuple[str, Table]]:
    """Question -> table: mean ± sd and n of each group, and below it the difference to the baseline, paired by seed."""
    names = {name: name for run in (run for members in groups.values() for run in members) for name in run.scores}
    tables = {letter: table(members, names) for letter, members in groups.items()}
    gaps = {letter: paired(rows, tables[base]) for letter, rows in tables.items() if letter != base}
    found = []
    for question, group in score_guide.grouped(names).items():
        rows = []
        for score in group:
            row: list = [(score.name, score.question.replace("`", ""), False)]
            for letter, members in tables.items():
                below, bold = _difference(gaps[letter].loc[score.key], base) if letter in gaps else ("", False)
                row.append((spread(members[score.key]), below, bold))
            rows.append([*row, f"{score.better} {score_guide.ideal(score)}".strip()])
        found.append((question, Table(["score", *tables, "better, ideal"], rows)))
    return found


def _difference(gap: pandas.Series, base: str) -> tuple[str, bool]:
    """The paired difference as text, and whether its 95% interval excludes 0; empty for fewer than two seeds."""
    if gap.seeds < 2:
        return "", False
    interval = "" if math.isnan(gap.low) else f" [{gap.low:+.3f}, {gap.high:+.3f}]"
    text = f"{gap.difference:+.3f}{interval} to {base}, {gap.seeds:.0f} seeds"
    return text, bool(gap.low > 0 or gap.high < 0)


def spread(values: pandas.Series) -> str:
    """Mean ± sample standard deviation (number of values), as text; without the deviation for a single value."""
    values = values.dropna()
    if values.empty:
        return "–"
    deviation = f" ±\u00a0{values.std():.3f}" if len(values) > 1 else ""
    shown = f"{values.mean():.3f}" if abs(values.mean()) < 100 else number(values.mean())
    return f"{shown}{deviation} ({len(values)})"


def _diagnostics(groups: dict[str, list[Run]]) -> Table | None:
    """The numbers of the group and its symmetries, by group; None if no run has them."""
    rows = []
    for tag, text in DIAGNOSTICS.items():
        values = [pandas.Series([run.last(tag) for run in runs], dtype=float) for runs in groups.values()]
        if any(one.notna().any() for one in values):
            rows.append([text, *map(spread, values)])
    return Table(["at the last validation", *groups], rows) if rows else None


def _traversals(runs: Sequence[Run]) -> list:
    """(seed, picture or sentence) of the first runs of a group."""
    drawn = [(run.args.get("seed"), picture_of(run, "traversals")) for run in runs]
    return [(seed, figure) for seed, figure in drawn if figure][:SHOWN]


__all__ = ["ABOUT", "grouped", "page", "spread"]
