"""Draws study/figures: scores over epochs, and the scores at the end of the budget."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas

from logger.charts import OKABE_ITO, figure
from logger.grids import png_bytes
from logger.report.charts import spreads
from study import plan
from study.report import figure_names, preset_of, records, samples
from system.files import replacing

CURVES = ("FactorVAE", "MIG, all factors", "DCI")


def write(study: Path) -> None:
    """Draw every figure of the page."""
    (study / "figures").mkdir(parents=True, exist_ok=True)
    for group in plan.GROUPS:
        for name in figure_names(study, group):
            draw = curves if name.endswith("_curves") else scores
            with replacing(study / "figures" / f"{name}.png") as temporary:
                draw(study, plan.rows(group), temporary)


def curves(study: Path, configurations: Sequence[plan.Configuration], file: Path) -> None:
    """Scores (fast protocol) and reconstruction loss over epochs: one line per seed, one colour per configuration."""
    names = [c.name for c in configurations]
    shown = {c.also or c.name: c for c in configurations} | {c.name: c for c in configurations}
    with figure(13, 3.6, left=0.6, right=0.3, bottom=1.0) as canvas:
        axes = canvas.subplots(1, len(CURVES) + 1)
        for source, _, folder in records(study):
            if source.name not in shown:
                continue
            c = shown[source.name]
            curve = pandas.read_csv(folder / "curve.csv").query(f"epoch <= {c.epochs}")
            if curve.empty:  # stopped before the first scores
                continue
            columns = [100 * curve["dmetric/" + plan.SCORES[score]] for score in CURVES]
            colour = OKABE_ITO[names.index(c.name) % len(OKABE_ITO)]
            for ax, values in zip(axes, [*columns, curve["metric/recon"]], strict=True):
                ax.plot(curve["epoch"], values, marker=".", color=colour, alpha=0.8, label=c.name)
        for ax, title in zip(axes, [*CURVES, "reconstruction loss"], strict=True):
            ax.set_title(f"{title} (%)" if title in CURVES else title)
            ax.set_xlabel("epoch")
            ax.locator_params(axis="x", integer=True)
        found = {line.get_label(): line for line in axes[0].lines}
        canvas.legend(found.values(), found.keys(), loc="lower center", ncols=len(found), frameon=False)
        canvas.savefig(file, format="png", dpi=100)


def scores(study: Path, configurations: Sequence[plan.Configuration], file: Path) -> None:
    """One point per run that reached the budget, the paper's mean as a line, box plots from six runs on."""
    preset = preset_of(study, configurations) or "fast"
    found = {c.name: samples(study, c, preset) for c in configurations}
    drawn = [c for c in configurations if len(found[c.name])]
    marks = {(c.name, score): c.paper[score][0] for c in drawn for score in c.paper}
    with_line = {score for _, score in marks}
    titles = {score: f"{score} (%{'; line: the paper' if score in with_line else ''})" for score in plan.SCORES}
    groups = [(c.name, found[c.name]) for c in drawn]
    file.write_bytes(png_bytes(spreads(groups, titles, marks=marks)))
