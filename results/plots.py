"""A box plot of every score by configuration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from results.runs import COLUMNS
from results.summary import Row
from system.errors import UserError
from system.files import replacing


def box_plot(rows: Sequence[Row], path: str | Path) -> None:
    """One panel a score, one box a configuration: median, quartiles, and every run as a point. Raises UserError."""
    from matplotlib.figure import Figure  # no pyplot: nothing global, no display

    rows = [row for row in rows if row.runs]
    if not rows:
        raise UserError(f"--plot {path}: there is no finished run with scores to draw")
    columns = [column for column in COLUMNS if any(len(row.values(column)) for row in rows)]
    across = min(4, len(columns))
    down = -(-len(columns) // across)
    names = [f"{row.config} ({len(row.runs)})" for row in rows]
    height = 1.0 + 0.35 * len(rows)
    figure = Figure(figsize=(3.2 * across + 0.07 * max(map(len, names)), height * down), layout="constrained")
    axes = figure.subplots(down, across, squeeze=False, sharey=True)
    positions = range(len(rows), 0, -1)  # the first row on top
    for ax, column in zip(axes.flat, columns, strict=False):
        values = [row.values(column) for row in rows]
        ax.boxplot(values, positions=positions, orientation="horizontal", widths=0.6, showfliers=False)
        for position, points in zip(positions, values, strict=True):
            ax.plot(points, [position] * len(points), "o", markersize=4, alpha=0.6, color="tab:blue")
        ax.set_title(f"{column} ({COLUMNS[column]})", fontsize=8)
        ax.set_yticks(list(positions), names, fontsize=8)
        ax.tick_params(axis="x", labelsize=8)
        ax.grid(axis="x", alpha=0.3)
    for ax in list(axes.flat)[len(columns) :]:
        ax.set_axis_off()
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
