"""Charts of a report: a panel a quantity, a line a run or a group, the legend outside."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas

from logger import charts, score_guide
from logger.reading import Run
from logger.report.page import Figure, chart_figure

Groups = Mapping[str, Sequence[Run]]  # name -> runs
TERMS = {"loss": "Loss", "recon": "Reconstruction", "kl": "KL divergence, nats"}
NAMED = 10  # most lines that are named: as many colours differ
SCORES_DRAWN = 6  # number of scores shown over training


def curves(run: Run) -> list[Figure]:
    """Every loss term over steps, for training and validation, and the KL of each latent."""
    tags = sorted(set(run.scalars.tag))
    named = {tag.split("/")[1] for tag in tags if tag.split("/")[0] in ("train", "validation")}
    figures = []
    for term in [*(name for name in TERMS if name in named), *sorted(named - TERMS.keys())]:
        lines = {validation_name(run, kind): [run.curve(f"{kind}/{term}")] for kind in ("train", "validation")}
        figures += panel(lines, [run], TERMS.get(term, term.replace("_", " ").capitalize()), clip=True)
    latents = [tag for tag in tags if tag.startswith("train_kl_per_latent/")]
    latents.sort(key=lambda tag: run.last(tag) or 0.0, reverse=True)
    lines = {f"z{int(tag.split('/')[1])}": [run.curve(tag)] for tag in latents}
    text = "Named by their last KL." if len(lines) <= NAMED else f"{len(lines)} latents, too many to name."
    return figures + panel(lines, [run], "KL of each latent, nats", text)


def validation_name(run: Run, kind: str = "validation") -> str:
    """`kind`, or what it really is where --split 0 held no image out."""
    return "on training images" if kind == "validation" and run.args.get("split") == 0 else kind


def curves_of_groups(groups: Groups) -> list[Figure]:
    """Loss, reconstruction and KL, a line a group: the mean over its runs, and a band from minimum to maximum."""
    every = [run for runs in groups.values() for run in runs]
    figures = []
    for term, title in TERMS.items():
        kind = "train" if any(len(run.curve(f"train/{term}")) for run in every) else "validation"
        lines = {name: [run.curve(f"{kind}/{term}") for run in runs] for name, runs in groups.items()}
        figures += panel(lines, every, f"{title}, {'training' if kind == 'train' else kind}", clip=True)
    return figures


def scores_over_training(groups: Groups) -> list[Figure]:
    """The first SCORES_DRAWN scores of the guide over training, for runs that were scored more than once."""
    every = [run for runs in groups.values() for run in runs]
    steps = pandas.concat([run.scalars for run in every]).groupby("tag").step.nunique()
    names = [tag.removeprefix("dmetric/") for tag in steps.index[steps > 1] if tag.startswith("dmetric/")]
    figures = []
    for score in [score for group in score_guide.grouped(names).values() for score in group][:SCORES_DRAWN]:
        lines = {name: [run.curve(f"dmetric/{score.key}") for run in runs] for name, runs in groups.items()}
        figures += panel(lines, every, score.name)
    return figures


def panel(
    lines: Mapping[str, list[pandas.DataFrame]], runs: Sequence[Run], title: str, caption: str = "", clip: bool = False
) -> list[Figure]:
    """For each line the mean of its curves, and a band from minimum to maximum; `[]` if none has two points.

    Args:
        lines: name -> curves; runs: those that they are of.
        clip: limit the y axis, since the first losses are many times the last; the caption then says so.
    """
    drawn = {name: over for name, each in lines.items() if len(over := _together(each)) > 1}
    if not drawn:
        return []
    legend = 1 < len(drawn) <= NAMED
    rows = -(-len(drawn) // 5) if legend and max(map(len, drawn)) < 4 else len(drawn) if legend else 0
    with charts.figure(4.6, 3.0 + 0.17 * rows, left=0.75, right=0.15, top=0.15 + 0.17 * rows) as canvas:
        canvas.set_dpi(200)
        axes = canvas.subplots()
        axes.set_xlabel(_clock(runs))
        for (name, over), colour in zip(drawn.items(), itertools.cycle(charts.COLOURS), strict=False):
            points = {"marker": "o", "ms": 4} if len(over) <= 10 else {}
            axes.plot(over.index, over["mean"], label=name, lw=1.2, color=colour, **points)
            axes.fill_between(over.index, over["min"], over["max"], color=colour, alpha=0.2, lw=0)
        if _limit(axes, np.concatenate([over["mean"] for over in drawn.values()]), clip):
            caption = f"{caption} The highest values, most of them of the first steps, are cut.".strip()
        if legend:
            columns = 5 if rows < len(drawn) else 1
            axes.legend(fontsize=8, ncols=columns, loc="lower left", bbox_to_anchor=(0, 1), columnspacing=1)
        return [chart_figure(charts.to_array(canvas), title, caption)]


def _together(each: list[pandas.DataFrame]) -> pandas.DataFrame:
    """By step: mean, min, max of the curves at steps that all have; empty if one has none."""
    over = pandas.concat(each).groupby("step").value.agg(["mean", "min", "max", "count"])
    return over[(over["count"] == len(each)) & np.isfinite(over["mean"])]


def _limit(axes, values: np.ndarray, clip: bool) -> bool:
    """Choose the range of the y axis for these values; with `clip`, without their highest 3%. Whether some are cut."""
    axes.ticklabel_format(axis="y", useOffset=False)
    largest = np.abs(values).max()
    if np.ptp(values) < 0.02 * largest:  # do not magnify rounding errors
        axes.set_ylim(values.min() - 0.1 * largest, values.max() + 0.1 * largest)
    low, high = values.min(), np.quantile(values, 0.97)
    if not clip or len(values) <= 10 or values.max() <= 1.5 * high - 0.5 * low:
        return False
    margin = 0.05 * (high - low) or 0.1 * largest
    axes.set_ylim(low - margin, high + margin)
    return True


def _clock(runs: Sequence[Run]) -> str:
    """Label of the x axis: steps, or epochs if the runs have only a text log."""
    if not any(len(run.curve("train/loss")) for run in runs):
        return "epoch"
    sizes = {str(run.args.get("batch_size", "?")) for run in runs}
    return f"step ({sizes.pop()} images each)" if len(sizes) == 1 else "step"
