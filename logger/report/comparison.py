"""The report of several runs: groups of runs, their scores, paired differences, curves and pictures."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import pandas

from logger import score_guide
from logger.reading import Run
from logger.report import charts
from logger.report.one_run import DIAGNOSTICS, NO_LOSSES, left_out_note, pictures, replica_note, score_tables
from logger.report.parts import Cell, Panels, Section, Table, Text, panels, render
from logger.score_guide import number
from logger.tables import ABOUT, doubts, paired, scored_on, settings, table

# Name of each group; a `logger.tables.table` of its runs, with one column per score of any run.
Tables = Sequence[tuple[str, pandas.DataFrame]]
MOST_SHOWN = 12  # runs whose pictures are in the page
SHOWN = ("traversals", "algebra", "equivariance")


def page(runs: Sequence[Run], title: str, left_out: Sequence[str] = ()) -> str:
    """The page of several runs."""
    groups, shared = grouped(runs)
    names = dict.fromkeys(name for run in runs for name in run.scores)
    tables = [(group, table(members, {name: name for name in names})) for group, members in groups.items()]
    shown = {score.key: score.name for score in next(iter(score_guide.grouped(names).values()), [])}
    lead = f"{len(runs)} runs in {len(groups)} group{'s' if len(groups) > 1 else ''} of equal arguments."
    sections = [
        Section("Runs", "runs", _members(groups, shared)),
        Section("Scores", "scores", _scores(groups, tables, shown)),
        Section("Paired differences", "differences", _differences(tables, shown)),
        Section("Learning curves", "curves", _curves(groups)),
        Section("The group and its symmetries", "group", _diagnostics(groups)),
        Section("Pictures", "pictures", _pictures(groups)),
    ]
    notes = [f"{name}: {doubt}." for name, members in groups.items() for doubt in doubts(members)]
    notes = [replica_note(runs), left_out_note(left_out), _protocols_note(groups), *notes]
    return render(title, lead, notes, sections)


def _protocols_note(groups: dict[str, list[Run]]) -> str:
    """A warning if groups were scored in different ways; else empty."""
    ways = {name: " / ".join(sorted({scored_on(r) for r in runs if r.scores})) for name, runs in groups.items()}
    ways = {name: way for name, way in ways.items() if way}
    if len(set(ways.values())) < 2:
        return ""
    listed = "; ".join(f"{name}: {way}" for name, way in ways.items())
    return f"The groups were scored in different ways, so that their scores do not compare. {listed}."


def grouped(runs: Sequence[Run]) -> tuple[dict[str, list[Run]], dict]:
    """Group runs with equal arguments, apart from those of `tables.settings` (seed, paths, ...).

    Returns: name of the group -> its runs; and the arguments that all runs share. The name lists the arguments that
        differ between groups, such as `hy_hes 0, model lie_group`.
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


def spread(values: pandas.Series) -> str:
    """Mean ± sample standard deviation (number of values), as text; without the deviation for a single value."""
    values = values.dropna()
    deviation = f" ±\u00a0{number(values.std())}" if len(values) > 1 else ""
    return f"{number(values.mean())}{deviation} ({len(values)})" if len(values) else "–"


def _members(groups: dict[str, list[Run]], shared: dict) -> list:
    rows = [
        [name, str(len(runs)), ", ".join(str(run.args.get("seed")) for run in runs), ", ".join(r.name for r in runs)]
        for name, runs in groups.items()
    ]
    folded = f"{len(shared)} arguments that all runs share"
    common = Table(["argument", "value"], [[n, str(v)] for n, v in shared.items()], numbers_from=2, folded=folded)
    return [Table(["group", "runs", "seeds", "directories"], rows, numbers_from=4), common]


def _scores(groups: dict[str, list[Run]], tables: Tables, shown: dict[str, str]) -> list:
    if not shown:
        return [Text("No scores were taken.")]
    values = {name: [spread(rows[name]) for _, rows in tables] for name in tables[0][1].columns.drop(ABOUT)}
    texts = score_tables(values, list(groups), [run for members in groups.values() for run in members])
    spreads = Panels(
        charts.spread_figures(tables, shown),
        f"One point per run; with {charts.BOX_FROM} or more runs, a box spans the quartiles, its bar is the median, "
        "whiskers reach 1.5 box lengths.",
    )
    band = "Scores during training: mean, and a band from the lowest to the highest run."
    over_training = panels(charts.scores_over_training(list(groups.items())), band)
    remark = Text("Mean ± sample standard deviation (number of runs).", "soft")
    return [texts[0], remark, texts[1], spreads, *over_training, *texts[2:]]


def _differences(tables: Tables, shown: dict[str, str]) -> list:
    """Differences of every group to the first one, paired by seed, with intervals."""
    (first, base), *others = tables
    compared = [(name, paired(rows, base)) for name, rows in others]
    compared = [(name, gaps) for name, gaps in compared if gaps.seeds.max() > 1]
    if not compared or not shown:
        return []
    rows = []
    for score, title in shown.items():
        row: list = [Cell(title, score)]
        for _, gaps in compared:
            gap = gaps.loc[score]
            interval = "" if math.isnan(gap.low) else f"[{gap.low:+.3f}, {gap.high:+.3f}], "
            interval += f"n = {gap.seeds:.0f}" if gap.seeds else ""
            text = f"{gap.difference:+.3f}" if gap.seeds else "–"
            row.append(Cell(text, below=interval, strong=bool(gap.low > 0 or gap.high < 0)))
        rows.append(row)
    text = (
        f"Each group minus the group “{first}”, over the seeds that both have: the mean difference, and below it its "
        "95% confidence interval (Student's t over the pairs) if there are at least three. Bold: the interval does not "
        "contain 0. One in twenty such intervals misses the true difference by chance. Of several runs of a seed, the "
        "one started last is used."
    )
    return [Text(text), Table(["score", *(name for name, _ in compared)], rows)]


def _curves(groups: dict[str, list[Run]]) -> list:
    text = "The mean over the runs of a group (number of runs), and a band from the lowest to the highest run."
    return panels(charts.curves_of_groups(list(groups.items())), text, NO_LOSSES)


def _diagnostics(groups: dict[str, list[Run]]) -> list:
    rows_of = [
        (name, pandas.DataFrame([{tag: run.last(tag) for tag in DIAGNOSTICS} for run in runs], dtype=float))
        for name, runs in groups.items()
    ]
    tags = [tag for tag in DIAGNOSTICS if any(rows[tag].notna().any() for _, rows in rows_of)]
    if not tags:
        return []
    rows = [[DIAGNOSTICS[tag], *(spread(found[tag]) for _, found in rows_of)] for tag in tags]
    titles = {tag: tag.removesuffix("/mean").rsplit("/", 1)[-1].replace("_", " ") for tag in tags}
    return [Table(["at the last validation", *groups], rows), Panels(charts.spread_figures(rows_of, titles))]


def _pictures(groups: dict[str, list[Run]]) -> list:
    runs = [(name, run) for name, members in groups.items() for run in members]
    parts: list = []
    if len(runs) > MOST_SHOWN:
        parts.append(Text(f"Pictures of the first {MOST_SHOWN} of {len(runs)} runs.", "note"))
    for name, run in runs[:MOST_SHOWN]:
        parts.append(Text(f"{name}: {run.name}" if len(groups) > 1 else run.name, "heading"))
        parts += pictures(run, SHOWN) or [Text("No pictures were drawn.")]
    return parts
