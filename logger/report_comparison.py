"""The report of several runs: groups of equal arguments, their means, deviations, boxes and pictures."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence

from logger import page, paper_scores, report_charts
from logger.hparams import LEFT_OUT
from logger.page import Html, element, section
from logger.reading import Run
from logger.report_run import (
    DIAGNOSTICS,
    drawn,
    name_cell,
    number,
    picture,
    published_cell,
    published_note,
    replica_note,
)

# What may differ between runs of one group.
REPEATED = LEFT_OUT | {"seed", "torch", "device", "num_threads", "visualise", "metrics", "end_metrics"}
MOST_SHOWN = 12  # runs whose pictures are in the page
SHOWN = ("traversals", "algebra", "equivariance")


def report(runs: Sequence[Run], title: str) -> str:
    """The whole page of several runs."""
    groups, shared = grouped(runs)
    scores = {name: [run.scores for run in members] for name, members in groups.items()}
    found = {name: [_diagnostics(run) for run in members] for name, members in groups.items()}
    lead = f"{len(runs)} runs in {len(groups)} group{'s' if len(groups) > 1 else ''} of equal arguments."
    sections = [
        section("Runs", _members(groups, shared), anchor="runs"),
        section("Scores", *_scores(groups, scores), anchor="scores"),
        section("Learning curves", _curves(groups), anchor="curves"),
        section("The group", *_group(found), anchor="group"),
        section("Pictures", *_pictures(groups), anchor="pictures"),
    ]
    links = [element("a", name, href=f"#{name}") for name in ("runs", "scores", "curves", "group", "pictures")]
    heading = [
        element("h1", title),
        element("p", lead, class_="soft"),
        replica_note(list(runs)),
        element("nav", *links),
    ]
    return page.page(title, *heading, *sections)


def grouped(runs: Sequence[Run]) -> tuple[dict[str, list[Run]], dict]:
    """Runs by the arguments in which they differ, seeds and paths aside; and the arguments that all share.

    The name of a group lists its values of the arguments that differ, such as `hy_hes 0, model lie_group`.
    """
    kept = [{k: v for k, v in run.args.items() if k not in REPEATED} for run in runs]
    names = sorted({name for args in kept for name in args})
    values = {name: {json.dumps(args.get(name)) for args in kept} for name in names}
    differing = [name for name in names if len(values[name]) > 1]
    shared = {name: kept[0][name] for name in names if name not in differing}
    groups: dict[str, list[Run]] = {}
    for run, args in zip(runs, kept, strict=True):
        name = ", ".join(f"{key} {_short(args.get(key))}" for key in differing) or "all runs"
        groups.setdefault(name, []).append(run)
    return groups, shared


def _short(value) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def spread(values: Sequence[float]) -> str:
    """Mean ± sample standard deviation (number of values); the value alone where there is one."""
    if not values:
        return "–"
    if len(values) == 1:
        return f"{number(values[0])} (1)"
    return f"{number(statistics.mean(values))} ± {number(statistics.stdev(values))} ({len(values)})"


def _members(groups: dict[str, list[Run]], shared: dict) -> Html:
    rows = [
        [name, str(len(runs)), ", ".join(str(run.args.get("seed")) for run in runs), ", ".join(r.name for r in runs)]
        for name, runs in groups.items()
    ]
    arguments = [[element("code", name), element("code", str(value))] for name, value in shared.items()]
    common = page.table(["argument", "value"], arguments, numbers_from=2)
    details = element("details", element("summary", f"{len(shared)} arguments that all runs share"), common)
    return page.join([page.table(["group", "runs", "seeds", "directories"], rows, numbers_from=4), details])


def _scores(groups: dict[str, list[Run]], scores: dict[str, list[dict[str, float]]]) -> list[Html]:
    metrics = paper_scores.ordered(name for members in scores.values() for run in members for name in run)
    if not metrics:
        return [element("p", "No scores were taken.")]
    settings = {
        (run.protocol.get("dataset", run.args.get("dataset", "")), run.args.get("model", ""))
        for members in groups.values()
        for run in members
    }
    # Published values stand beside runs of one model on one data set only: else it is unclear whose they are.
    sources = paper_scores.published(*settings.pop()) if len(settings) == 1 else {}
    rows, further = [], []
    for metric in metrics:
        values = [spread([run[metric] for run in members if metric in run]) for members in scores.values()]
        if metric in paper_scores.NAMES:
            compared = [published_cell(source.get(metric)) for source in sources.values()]
            rows.append([name_cell(metric), *values, *compared])
        else:
            further.append([name_cell(metric), *values])
    shown = {metric: paper_scores.reading_name(metric) for metric in metrics if metric in paper_scores.NAMES}
    shown = shown or {metric: metric for metric in metrics[:9]}
    boxes = report_charts.boxes(scores, shown)
    alt = "Box plots of every score by group; the table above has the means and deviations."
    caption = "One point a run; boxes span the quartiles, the bar is the median, whiskers reach 1.5 box lengths."
    content = [page.table(["score", *scores, *sources], rows)]
    content.append(element("p", "Mean ± sample standard deviation (number of runs).", class_="soft"))
    content += [published_note(list(sources)), drawn(boxes, alt, caption)]
    if further:
        more = page.table(["score", *scores], further)
        content.append(element("details", element("summary", f"{len(further)} further scores"), more))
    return content


def _curves(groups: dict[str, list[Run]]) -> Html:
    picture = report_charts.loss_comparison(groups)
    return drawn(
        picture, "Training loss and KL divergence of all runs over steps, one colour a group.", "One line a run."
    )


def _diagnostics(run: Run) -> dict[str, float]:
    return {tag: value for tag in DIAGNOSTICS if (value := run.last(tag)) is not None}


def _group(found: dict[str, list[dict[str, float]]]) -> list[Html]:
    tags = [tag for tag in DIAGNOSTICS if any(tag in run for members in found.values() for run in members)]
    if not tags:
        return [element("p", "No diagnostics were logged.")]
    rows = [
        [DIAGNOSTICS[tag], *(spread([run[tag] for run in members if tag in run]) for members in found.values())]
        for tag in tags
    ]
    titles = {tag: tag.removesuffix("/mean").rsplit("/", 1)[-1].replace("_", " ") for tag in tags}
    boxes = report_charts.boxes(found, titles)
    alt = "Box plots of the diagnostics of the group by group of runs; the table above has means and deviations."
    return [page.table(["at the last validation", *found], rows), drawn(boxes, alt, "One point a run.")]


def _pictures(groups: dict[str, list[Run]]) -> list[Html]:
    runs = [(name, run) for name, members in groups.items() for run in members]
    content = []
    for name, run in runs[:MOST_SHOWN]:
        title = f"{name}: {run.name}" if len(groups) > 1 else run.name
        figures = [picture(run.pictures[p], p) for p in SHOWN if p in run.pictures]
        content.append(element("h3", title))
        content.append(page.join(figures or [element("p", "No pictures were drawn.")]))
    if len(runs) > MOST_SHOWN:
        content.insert(0, element("p", f"Of the first {MOST_SHOWN} of {len(runs)} runs.", class_="note"))
    return content
