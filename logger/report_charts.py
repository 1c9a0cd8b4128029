"""Charts of a report: loss curves, and scores of several runs as boxes. uint8 pictures `[Y, X, 3]`."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np

from logger import charts
from logger.reading import Run

LABEL_WIDTH = 30  # characters of a group's name in a line
TERMS = (("loss", "loss"), ("recon", "reconstruction"), ("kl", "KL divergence, nats"))


def curves(run: Run) -> np.ndarray:
    """Loss, its two main terms, and the KL of every latent, over steps; training and validation."""
    with charts.figure(10.5, 7) as canvas:
        canvas.subplots_adjust(wspace=0.25, hspace=0.33)
        *plots, latents = canvas.subplots(2, 2).ravel()
        for axes, (term, label) in zip(plots, TERMS, strict=True):
            for group in ("train", "validation"):
                curve = run.curve(f"{group}/{term}")
                few = {"marker": "o", "ms": 4} if len(curve) <= 10 else {}
                axes.plot(curve.step, curve.value, label=group, **{"lw": 1, **few})
            axes.set(title=label, xlabel=f"step ({run.args.get('batch_size', '?')} images each)")
            axes.legend()
        _clip_start(plots[0], run.curve("train/loss").value)
        _clip_start(plots[1], run.curve("train/recon").value)
        tags = sorted(tag for tag in set(run.scalars.tag) if tag.startswith("train_kl_per_latent/"))
        lines = [latents.plot(run.curve(tag).step, run.curve(tag).value, lw=1)[0] for tag in tags]
        last = [run.last(tag) for tag in tags]
        for rank, j in enumerate(np.argsort(-np.array(last))):
            lines[j].set(
                color=charts.OKABE_ITO[rank] if rank < len(charts.OKABE_ITO) else "0.75",
                label=f"z{j}" if rank < len(charts.OKABE_ITO) else None,
            )
        latents.set(title="KL of each latent, nats", xlabel="step")
        if tags:
            latents.legend(ncols=2, fontsize=9)
        return charts.to_array(canvas)


def loss_comparison(groups: dict[str, Sequence[Run]]) -> np.ndarray:
    """Training loss and KL of all runs, coloured by group."""
    with charts.figure(10.5, 4.4) as canvas:
        canvas.subplots_adjust(wspace=0.25)
        for axes, (term, label) in zip(canvas.subplots(1, 2), (TERMS[0], TERMS[2]), strict=True):
            for colour, (name, runs) in zip(_colours(len(groups)), groups.items(), strict=True):
                for n, run in enumerate(runs):
                    curve = run.curve(f"train/{term}")
                    axes.plot(curve.step, curve.value, color=colour, lw=1, alpha=0.8, label=None if n else name)
            axes.set(title=f"{label}, training", xlabel="step")
            axes.legend(fontsize=9)
        _clip_start(canvas.axes[0], np.concatenate([r.curve("train/loss").value for rs in groups.values() for r in rs]))
        return charts.to_array(canvas)


def boxes(groups: dict[str, Sequence[dict[str, float]]], names: dict[str, str]) -> np.ndarray:
    """One panel a quantity: a box for each group, and a point for each run.

    Args:
        groups: group -> the values of each of its runs, by key.
        names: key -> title of the panel.
    """
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    labels = [textwrap.fill(name, LABEL_WIDTH) for name in groups]
    lines = [line for label in labels for line in label.split("\n")]
    height, left = 1.0 + 0.2 * len(groups) + 0.22 * len(lines), 0.5 + 0.09 * max(map(len, lines))
    with charts.figure(left + 3.1 * columns + 0.2, (height + 0.5) * rows + 0.3, left=left) as canvas:
        canvas.subplots_adjust(wspace=0.12, hspace=0.55 if rows > 1 else 0)
        grid = canvas.subplots(rows, columns, squeeze=False, sharey=True).ravel()
        for axes, (key, title) in zip(grid, names.items(), strict=False):
            for place, (colour, runs) in enumerate(zip(_colours(len(groups)), groups.values(), strict=True)):
                values = [run[key] for run in runs if key in run]
                if len(values) > 1:
                    axes.boxplot(values, positions=[place], orientation="horizontal", widths=0.6, showfliers=False,
                                 medianprops={"color": "black"})  # fmt: skip
                axes.plot(values, [place] * len(values), "o", color=colour, ms=6, alpha=0.8)
            axes.set_title(title, fontsize=11)
            axes.set_yticks(range(len(labels)), labels)
            axes.set_ylim(len(labels) - 0.4, -0.6)
            axes.locator_params(axis="x", nbins=4)
        for axes in grid[len(names) :]:
            axes.set_axis_off()
        return charts.to_array(canvas)


def _colours(count: int) -> list[str]:
    """So many colours, the palette repeated where it is too short."""
    return [charts.OKABE_ITO[i % len(charts.OKABE_ITO)] for i in range(count)]


def _clip_start(axes, values) -> None:
    """The first losses are many times the last: cut the axis so that the rest can be seen."""
    values = np.asarray(values)
    if len(values) > 10:
        low, high = values.min(), np.quantile(values, 0.97)
        axes.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low) or None)
