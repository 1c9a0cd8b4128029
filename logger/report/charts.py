"""Charts of a report: learning curves, scores over training, scores of several runs. One panel per figure."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
import pandas

from logger import charts, score_guide
from logger.reading import Run
from logger.report.parts import Figure, chart_figure

Group = tuple[str, Sequence[Run]]  # its name and its runs
BOX_FROM = 6  # minimum number of runs for a box plot; fewer are drawn as points only
LABEL_WIDTH = 24  # characters per line of a group's name
TERMS = {"loss": "Loss", "recon": "Reconstruction", "kl": "KL divergence, nats"}
NAMED_LATENTS = 16  # with more latents, the legend is omitted: it would cover the curves
MOST_INSIDE = 6  # with more curves, the legend is above the panel
SCORES_DRAWN = 6  # number of scores shown over training


def curves(run: Run) -> list[Figure]:
    """Every loss term over steps, for training and validation, and the KL of each latent."""
    tags, clock = sorted(set(run.scalars.tag)), _clock([run])
    named = {tag.split("/")[1] for tag in tags if tag.split("/")[0] in ("train", "validation")}
    figures = []
    for term in [*(name for name in TERMS if name in named), *sorted(named - TERMS.keys())]:
        title = TERMS.get(term, term.replace("_", " ").capitalize())
        lines = [(validation_name(run, kind), [run.curve(f"{kind}/{term}")]) for kind in ("train", "validation")]
        figures += _figure(lines, clock, title, _ends(run, term), clip=True)
    latents = [tag for tag in tags if tag.startswith("train_kl_per_latent/")]
    latents.sort(key=lambda tag: _last_kl(run, tag), reverse=True)
    lines = [(f"z{int(tag.split('/')[1])}", [run.curve(tag)]) for tag in latents]
    legend = len(lines) <= NAMED_LATENTS
    text = "Latents are listed by their last KL." if legend else f"{len(lines)} latents, too many to name."
    return figures + _figure(lines, "step", "KL of each latent, nats", text, legend=legend)


def validation_name(run: Run, kind: str = "validation") -> str:
    """`kind`, or what it really is where --split 0 held no image out."""
    return "on training images" if kind == "validation" and run.args.get("split") == 0 else kind


def _last_kl(run: Run, tag: str) -> float:
    """The last KL of the latent of this tag: of validation if recorded, which is less noisy than one batch."""
    validated = run.last(tag.replace("train", "validation", 1))
    return run.last(tag) or 0.0 if validated is None else validated


def curves_of_groups(groups: Sequence[Group]) -> list[Figure]:
    """Loss, reconstruction and KL by group: mean over its runs, and a band from minimum to maximum."""
    figures = []
    for term, title in TERMS.items():
        kind = "train" if any(len(run.curve(f"train/{term}")) for _, runs in groups for run in runs) else "validation"
        figures += _bands(groups, f"{kind}/{term}", f"{title}, {'training' if kind == 'train' else kind}", clip=True)
    return figures


def scores_over_training(groups: Sequence[Group]) -> list[Figure]:
    """The first SCORES_DRAWN scores of the guide over training, for runs that were scored more than once."""
    runs = [run for _, members in groups for run in members]
    counts = pandas.concat([run.scalars for run in runs]).query("tag.str.startswith('dmetric/')").groupby("tag").step
    names = [tag.removeprefix("dmetric/") for tag, steps in counts if steps.nunique() > 1]
    scores = [score for group in score_guide.grouped(names).values() for score in group][:SCORES_DRAWN]
    return [figure for score in scores for figure in _bands(groups, f"dmetric/{score.key}", score.name)]


def _bands(groups: Sequence[Group], tag: str, title: str, clip: bool = False) -> list[Figure]:
    """One panel: a tag over training, one line per group."""
    lines = []
    for name, runs in groups:
        each = [curve for run in runs if len(curve := run.curve(tag))]
        lines.append((f"{textwrap.shorten(name, 2 * LABEL_WIDTH, placeholder=' ...')} ({len(each)})", each))
    return _figure(lines, _clock([run for _, runs in groups for run in runs]), title, clip=clip)


def _figure(
    lines: Sequence[tuple[str, list[pandas.DataFrame]]],
    clock: str,
    title: str,
    caption: str = "",
    clip: bool = False,
    legend: bool = True,
) -> list[Figure]:
    """One panel: for each line the mean of its curves, and a band from minimum to maximum; `[]` if all are empty.

    Args:
        clip: limit the y axis, since the first losses are many times the last.
        legend: name the lines, if there are several.
    """
    means = []
    legend, many = legend and len(lines) > 1, legend and len(lines) > MOST_INSIDE
    columns = 6 if max((len(label) for label, _ in lines), default=0) < 6 else 1  # of the legend above the panel
    above = 0.18 * -(-len(lines) // columns) if many else 0
    with charts.figure(4.6, 3.0 + above, left=0.75, right=0.25, top=0.2 + above) as canvas:
        canvas.set_dpi(200)
        axes = canvas.subplots()
        axes.set_xlabel(clock)
        for rank, (label, each) in enumerate(lines):
            if not any(map(len, each)):
                continue
            over = pandas.concat(each).groupby("step").value.agg(["mean", "min", "max", "count"])
            over = over[
                (over["count"] == len(each)) & np.isfinite(over["mean"])
            ]  # only steps with values of all curves
            if over.empty:
                continue
            style = {"color": _colour(rank), "ls": "-" if rank < len(charts.OKABE_ITO) else "--"}
            points = {"marker": "o", "ms": 4} if len(over) <= 10 else {}
            axes.plot(over.index, over["mean"], label=label, lw=1.2, **style, **points)
            axes.fill_between(over.index, over["min"], over["max"], color=style["color"], alpha=0.2, lw=0)
            means.append(over["mean"])
        if not means:
            return []
        _limit(axes, np.concatenate(means), clip)
        if many:
            axes.legend(fontsize=8, ncols=columns, loc="lower center", bbox_to_anchor=(0.5, 1), columnspacing=1)
        elif legend:
            axes.legend(fontsize=8)
        return [chart_figure(charts.to_array(canvas), title, f"{title} over training. {caption}".strip(), caption)]


def _limit(axes, values: np.ndarray, clip: bool) -> None:
    """Choose the range of the y axis for these values; clip: without their highest 3%."""
    axes.ticklabel_format(axis="y", useOffset=False)
    largest = np.abs(values).max()
    if np.ptp(values) < 0.02 * largest:  # do not magnify rounding errors
        axes.set_ylim(values.min() - 0.1 * largest, values.max() + 0.1 * largest)
    if clip and len(values) > 10:
        low, high = values.min(), np.quantile(values, 0.97)
        axes.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low) or None)


def spread_figures(groups: Sequence[tuple[str, pandas.DataFrame]], titles: dict[str, str]) -> list[Figure]:
    """`spreads` as one figure per quantity."""
    alt = "{}: one point per run, by group; the table has means and deviations."
    return [chart_figure(spreads(groups, {key: title}, 200), title, alt.format(title)) for key, title in titles.items()]


def wrapped(name: str) -> str:
    """A label in lines of LABEL_WIDTH characters, broken at spaces, hyphens and underscores where possible."""
    return textwrap.fill(name.replace("_", "_ "), LABEL_WIDTH).replace("_ ", "_")


def spreads(
    groups: Sequence[tuple[str, pandas.DataFrame]],
    titles: dict[str, str],
    dpi: int = 100,
    marks: Mapping[tuple[str, str], float] | None = None,
) -> np.ndarray:
    """One panel per quantity: for each group one point per run, and a box plot if there are BOX_FROM runs.

    Args:
        groups: name of the group, and a table with one row per run and a column for each quantity.
        titles: column -> title of its panel.
        marks: (group, column) -> a value to mark by a line.
    Returns:
        uint8 `[Y, X, 3]`.
    """
    columns = min(3, len(titles))
    down = -(-len(titles) // columns)
    labels = [wrapped(name) for name, _ in groups]
    lines = [line for label in labels for line in label.split("\n")]
    height, left = 1.0 + 0.2 * len(groups) + 0.2 * len(lines), 0.4 + 0.08 * max(map(len, lines))
    with charts.figure(left + 2.9 * columns + 0.2, (height + 0.4) * down + 0.2, left=left, bottom=0.4) as canvas:
        canvas.set_dpi(dpi)
        canvas.subplots_adjust(wspace=0.12, hspace=0.5 if down > 1 else 0)
        grid = canvas.subplots(down, columns, squeeze=False, sharey=True).ravel()
        for axes, (key, title) in zip(grid, titles.items(), strict=False):
            for place, (name, rows) in enumerate(groups):
                values = rows[key].dropna()
                if len(values) >= BOX_FROM:
                    axes.boxplot(values, positions=[place], orientation="horizontal", widths=0.6, showfliers=False,
                                 medianprops={"color": "black"})  # fmt: skip
                axes.plot(values, [place] * len(values), "o", color=_colour(place), ms=6, alpha=0.7)
                if marks and (name, key) in marks:
                    axes.plot(marks[name, key], place, "|", color="black", ms=16)
            axes.set_title(title if len(titles) > 1 else "", fontsize=10)
            axes.set_yticks(range(len(labels)), labels, fontsize=9)
            axes.set_ylim(len(labels) - 0.4, -0.6)
            axes.locator_params(axis="x", nbins=4)
            axes.tick_params(axis="x", labelsize=9)
        for axes in grid[len(titles) :]:
            axes.set_axis_off()
        return charts.to_array(canvas)


def _clock(runs: Sequence[Run]) -> str:
    """Label of the x axis: steps, or epochs if the runs have only a text log."""
    sizes = {str(run.args.get("batch_size", "?")) for run in runs}
    if not any(len(run.curve("train/loss")) for run in runs):
        return "epoch"
    return f"step ({sizes.pop()} images each)" if len(sizes) == 1 else "step"


def _ends(run: Run, term: str) -> str:
    last = {group: run.last(f"{group}/{term}") for group in ("train", "validation")}
    return "Last: " + ", ".join(f"{name} {value:.4g}" for name, value in last.items() if value is not None) + "."


def _colour(rank: int) -> str:
    """A colour of the palette, which repeats."""
    return charts.OKABE_ITO[rank % len(charts.OKABE_ITO)]
