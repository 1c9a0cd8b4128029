"""Tables in Markdown, and numbers in their cells."""

from __future__ import annotations

from collections.abc import Sequence

import pandas
from scipy.stats import t


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of texts."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def summary(values: pandas.Series) -> str:
    """`mean ± standard deviation [95 % interval of the mean]`; `-` if there are no values."""
    n, mean, deviation = values.count(), values.mean(), values.std()
    if n < 2:
        return f"{mean:.1f}" if n else "-"
    half = t.ppf(0.975, n - 1) * deviation / n**0.5
    return f"{mean:.1f} ± {deviation:.1f} [{mean - half:.1f}, {mean + half:.1f}]"


def spread(values: pandas.Series, digits: int = 1) -> str:
    """`mean ± standard deviation`."""
    return f"{values.mean():.{digits}f}" + (f" ± {values.std():.{digits}f}" if len(values) > 1 else "")
