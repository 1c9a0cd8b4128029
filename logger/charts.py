"""Matplotlib charts in a common, colour-blind safe style, as uint8 pictures. No display is needed.

Colours: cividis for magnitudes, purple to orange for signed values, the eight colours of Okabe and Ito for categories.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib
import numpy as np
from cycler import cycler
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000", "#F0E442")
# Ten that differ, for lines of one chart: those of Okabe and Ito but for black and yellow, and four of Tol.
COLOURS = (*OKABE_ITO[:6], "#332288", "#882255", "#999933", "#666666")
STYLE: dict[Any, Any] = {
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.labelsize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "axes.prop_cycle": cycler(color=OKABE_ITO),
    "figure.dpi": 100,
    "image.cmap": "cividis",
    "text.parse_math": False,  # names may hold dollar signs
}
MOST_PIXELS = 30_000  # Matplotlib draws up to 2^16, browsers show up to 2^15
LARGEST_ANNOTATED = 144  # largest number of cells of a heat map that are annotated


@contextlib.contextmanager
def figure(width: float, height: float, **margins: float) -> Iterator:
    """Yields a Matplotlib figure in the project's style; `to_array` renders it. No pyplot, no global state.

    Args:
        width, height: in inches.
        margins: left, right, top, bottom, in inches. An automatic layout would render everything twice.
    """
    inches = {"left": 0.8, "right": 0.2, "top": 0.4, "bottom": 0.6, **margins}
    with matplotlib.rc_context(STYLE):
        result = Figure(figsize=(width, height))
        result.subplots_adjust(
            left=inches["left"] / width,
            right=1 - inches["right"] / width,
            top=1 - inches["top"] / height,
            bottom=inches["bottom"] / height,
        )
        FigureCanvasAgg(result)
        yield result


def to_array(figure) -> np.ndarray:
    """Render the figure: uint8 `[Y, X, 3]`, at most MOST_PIXELS in each direction: a larger one is drawn coarsely."""
    figure.set_dpi(min(figure.dpi, MOST_PIXELS / max(figure.get_size_inches())))
    figure.canvas.draw()
    return np.array(figure.canvas.buffer_rgba())[..., :3]


def unit_of(values: np.ndarray | float, smallest: int = -2) -> tuple[float, str]:
    """A power of ten to divide the values by, and its name, ` in 1e-3`; 1 and no name from 10^smallest to 1000."""
    largest = np.abs(values).max(initial=0)
    exponent = math.floor(math.log10(largest)) if largest > 0 else 0
    return (1.0, "") if smallest <= exponent <= 2 else (10.0**exponent, f" in 1e{exponent}")


def heat_map(axes, values: np.ndarray, rows: Sequence[str], columns: Sequence[str], title: str, **limits) -> None:
    """Draw a matrix `[rows, columns]` with a colour bar; up to LARGEST_ANNOTATED cells also show their numbers.

    Cells that are nan are grey.

    Values below a hundredth or above a thousand are in units of a power of ten, named in the title, unless `limits`
    hold vmax, which is in the units of the values.
    """
    values = np.asarray(values, dtype=float)
    if "vmax" not in limits:
        scale, unit = unit_of(np.nan_to_num(values))
        values, title = values / scale, f"{title} {unit}" if unit else title
        limits |= {} if np.nan_to_num(values).any() else {"vmax": 1}  # so that zeros are dark
    colours = matplotlib.colormaps["cividis"].with_extremes(bad="0.8")
    image = axes.imshow(values, aspect="auto", cmap=colours, **limits)
    axes.grid(False)
    axes.set_title(title)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    if values.size <= LARGEST_ANNOTATED:
        shown = np.abs(np.nan_to_num(values)).max(initial=0)
        decimals = 3 if shown < 0.1 else 2 if shown < 10 else 1 if shown < 100 else 0
        middle = sum(image.get_clim()) / 2
        for (row, column), value in np.ndenumerate(values):
            if np.isnan(value):
                continue
            ink = "black" if value > middle else "white"
            axes.text(
                column, row, f"{value:.{decimals}f}" if value else "0", ha="center", va="center", color=ink, fontsize=9
            )
    axes.figure.colorbar(image, ax=axes, pad=0.02, fraction=0.05)


def heat_map_picture(
    values: np.ndarray, rows: Sequence[str], columns: Sequence[str], title: str, x_label: str, y_label: str, **limits
) -> np.ndarray:
    """A picture of one `heat_map`: uint8 `[Y, X, 3]`."""
    left = 0.7 + 0.085 * max(map(len, rows))
    width, height = max(7.0, left + 1.0 + 0.6 * len(columns)), max(2.8, 1.2 + 0.42 * len(rows))
    with figure(width, height, left=left, right=0.6) as canvas:  # right: room for the colour bar's numbers
        axes = canvas.subplots()
        heat_map(axes, values, rows, columns, title, **limits)
        axes.set(xlabel=x_label, ylabel=y_label)
        return to_array(canvas)
