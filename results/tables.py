"""Tables as text: CSV as published, Markdown and LaTeX with the best row of each score marked."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from results.runs import COLUMNS
from results.summary import Difference, Row, best_rows

MISSING = "-"


def number(value: float | None) -> str:
    """Three decimals, `-` for what is missing."""
    return MISSING if value is None else f"{round(value, 3) + 0.0:.3f}"  # + 0.0: no minus before 0


def header(statistics: Sequence[str]) -> list[str]:
    """`_config`, every score with its statistics, then where the row comes from."""
    return [
        "_config",
        *(f"{column}.{name}" for column in COLUMNS for name in statistics),
        *("n_samples", "path", "ctime"),
    ]


def cells(row: Row, statistics: Sequence[str]) -> list[str]:
    """One line of the table, as text."""
    scores = [number(row.statistic(column, name)) for column in COLUMNS for name in statistics]
    return [row.config, *scores, str(len(row.runs)), str(row.path), row.time]


def as_csv(rows: Sequence[Row], statistics: Sequence[str]) -> str:
    """Comma-separated, one line a row, under the published header."""
    return _csv([header(statistics), *(cells(row, statistics) for row in rows)])


def as_markdown(rows: Sequence[Row], statistics: Sequence[str]) -> str:
    """A Markdown table; the best mean of each score in bold."""
    lines = _marked(rows, statistics, "**{}**")
    escaped = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    return _markdown(escaped)


def as_latex(rows: Sequence[Row], statistics: Sequence[str]) -> str:
    """A LaTeX tabular; the best mean of each score in bold."""
    lines = [[_latex_text(cell) for cell in line] for line in _marked(rows, statistics, "\x00{}\x01")]
    body = [" & ".join(line).replace("\x00", r"\textbf{").replace("\x01", "}") + r" \\" for line in lines]
    columns = "l" + "r" * (len(lines[0]) - 3) + "ll"
    return "\n".join(
        [rf"\begin{{tabular}}{{{columns}}}", r"\hline", body[0], r"\hline", *body[1:], r"\hline", r"\end{tabular}", ""]
    )


def paired_csv(differences: Sequence[Difference]) -> str:
    """The paired comparison, one line a score."""
    lines = [[d.column, number(d.mean), number(d.low), number(d.high), str(d.seeds)] for d in differences]
    return _csv([["score", "difference", "ci95.low", "ci95.high", "n_seeds"], *lines])


def screen(lines: Sequence[Sequence[str]]) -> str:
    """Columns of text, aligned."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines)


def overview(rows: Sequence[Row]) -> str:
    """For the screen: the mean of every score; `*` marks the best."""
    best = best_rows(rows)
    lines = [["_config", *COLUMNS, "n", "path"]]
    for i, row in enumerate(rows):
        means = [
            number(row.statistic(c, "mean")) + ("*" if best.get(c) == i and len(rows) > 1 else "") for c in COLUMNS
        ]
        lines.append([row.config, *means, str(len(row.runs)), str(row.path)])
    return screen(lines)


def _marked(rows: Sequence[Row], statistics: Sequence[str], mark: str) -> list[list[str]]:
    best = best_rows(rows)
    names = header(statistics)
    lines = [names]
    for i, row in enumerate(rows):
        line = cells(row, statistics)
        for column, j in best.items():
            if i == j:
                at = names.index(f"{column}.mean")
                line[at] = mark.format(line[at])
        lines.append(line)
    return lines


def _markdown(lines: Sequence[Sequence[str]]) -> str:
    rule = ["---", *["---:"] * (len(lines[0]) - 3), "---", "---"]
    return "".join("| " + " | ".join(line) + " |\n" for line in [lines[0], rule, *lines[1:]])


def _csv(lines: Sequence[Sequence[str]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(lines)
    return out.getvalue()


def _latex_text(text: str) -> str:
    for character in "\\&%$#_{}":
        text = text.replace(character, r"\textbackslash " if character == "\\" else "\\" + character)
    return text


FORMATS = {"csv": as_csv, "markdown": as_markdown, "latex": as_latex}
