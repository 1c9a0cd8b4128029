"""Collects the scores of many runs into one table: mean and spread of every score by configuration."""

from __future__ import annotations

import argparse
import difflib
import os
import re
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas

from logger.reading import Run, find_runs, read_each
from logger.tables import doubts, newest, paired, scored_on, spread, table
from metrics.info import COLUMNS, SCORES
from system.command_line import Parser, add, command_line, start
from system.errors import UserError
from system.files import writable_folder, write_text

DECIMALS = 3
LEAST = 3  # runs of a mean that may be called the best
NAMED = "mean ± sd"  # head of the first column


def names(text: str) -> list[str]:
    """Parse '[model, dataset]' or 'model,dataset' into names; `-` counts as `_`."""
    found = [name.strip().strip("'\"").lstrip("-").replace("-", "_") for name in text.strip().strip("[]").split(",")]
    if not all(found):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of arguments such as '[model, dataset]'")
    return found


def build_parser() -> argparse.ArgumentParser:
    """The parser with every flag; each may be written with `-` or `_`."""
    parser = Parser(prog="collect_results.py", description=__doc__, allow_abbrev=False)

    where = "folder with experiment directories, at any depth"
    named = "recorded arguments that name the rows, such as '[model, dataset, latents]' [model, dataset]"
    by = "one row per combination of these arguments, not per directory"
    pair = "two rows, by _config or path: paired differences over seeds"
    add(parser, "--in_dir", str, None, where, required=True, metavar="DIR")
    add(parser, "--result_file", str, None, "file of the table", required=True, metavar="FILE")
    add(parser, "--config_variables", names, None, named, metavar="LIST")
    add(parser, "--group_by", names, None, by, metavar="LIST")
    add(parser, "--format", str, "csv", "format of the table [csv]", choices=tuple(FORMATS))
    add(parser, "--compare", str, None, pair, nargs=2, metavar="CONFIG")
    return parser


def collect(args: argparse.Namespace) -> None:
    """Write the table, and the comparison if one is asked for. Raises UserError."""
    if not Path(args.in_dir).is_dir():
        raise UserError(f"--in_dir {args.in_dir} is not a folder")
    writable_folder(args.result_file, "--result_file")
    paths, runs, left_out = samples_below(args.in_dir)
    for line in left_out:
        print(line, file=sys.stderr)
    for flag in ("group_by", "config_variables"):
        _check_recorded(getattr(args, flag) or (), runs, f"--{flag}")
    variables = args.config_variables or args.group_by or ["model", "dataset"]
    rows, members = summary(paths, runs, args.group_by or (), variables)
    for config, path, own in zip(rows._config, rows.path, members, strict=True):
        for doubt in doubts(own):
            print(f"note: {config} ({path}): {doubt}", file=sys.stderr)
    compared = [_row(rows, wanted) for wanted in args.compare or ()]

    result_file = Path(args.result_file)
    write_text(result_file, FORMATS[args.format](rows))
    if len(rows):
        shown = cells(rows, "{}*").set_index(NAMED)
        width = shutil.get_terminal_size().columns
        ways = [shown.to_string(), shown.T.to_string(), shown.to_string(line_width=width)]  # the last one in blocks
        print(next((way for way in ways[:2] if max(map(len, way.splitlines())) <= width), ways[2]))
        print("± standard deviation; * best where n is 3 or more")
    print(f"{len(runs)} runs in {len(rows)} rows, {len(left_out)} left out: {result_file}")
    if compared:
        compare(rows.iloc[compared], [members[i] for i in compared], result_file)


def compare(pair: pandas.DataFrame, members: Sequence[Sequence[Run]], result_file: Path) -> None:
    """Write and print the paired differences of two rows of `summary`, of these runs; notes say what else differs."""
    samples = [table(own) for own in members]
    differences = paired(*samples).reset_index()
    differences.columns = ["score", "difference", "ci95.low", "ci95.high", "n_seeds"]
    file = result_file.with_name(f"{result_file.stem}.paired.csv")
    write_text(file, as_text(differences).to_csv(index=False, lineterminator="\n"))
    first, second = pair._config if pair._config.nunique() > 1 else pair.path  # rows may share a _config
    if pair.data.nunique() > 1:
        measured = " and on ".join(pair.data)
        print(f"note: {first} and {second} were scored on {measured}: these differ, too", file=sys.stderr)
    for config, of_row in zip((first, second), samples, strict=True):
        repeated = of_row.seed[of_row.seed.duplicated()]
        used = newest(of_row[of_row.seed.isin(repeated)])
        for seed, path in zip(used.seed, used.path, strict=True):
            print(f"note: {config} has several runs of seed {seed}: {path}, started last, is used", file=sys.stderr)
    print(f"{first} minus {second}, over common seeds; 95% confidence where n is 3 or more: {file}")
    print(as_text(differences).to_string(index=False))


def samples_below(folder: str) -> tuple[list[Path], list[Run], list[str]]:
    """All run directories below a folder, the runs that count as samples, and one line for each run left out.

    Runs of this project count if they are finished and scored, those of the authors' code if they logged a score.
    """
    left_out: list[str] = []
    paths, runs = find_runs([folder], left_out), []
    for run in read_each(paths, left_out):
        if run.state not in ("finished", "unknown"):
            left_out.append(f"{run.path}: left out, it is {'failed' if run.state == 'failed' else 'unfinished'}")
        elif not run.scores.keys() & COLUMNS.values():
            left_out.append(f"{run.path}: left out, it has none of the table's scores")
        else:
            runs.append(run)
    return paths, runs, left_out


def summary(
    paths: Sequence[Path], runs: Sequence[Run], by: Sequence[str], variables: Sequence[str]
) -> tuple[pandas.DataFrame, list[list[Run]]]:
    """One row a directory, also of those without runs, or one a combination of the arguments `by`; and its runs.

    The columns are `_config`, `n_samples`, `path`, `ctime`, `data`, and `<score>.mean`, `.std` (n - 1), `.count`.
    """
    keys = ["\0".join(_text(run, name) for name in by) if by else str(run.path.parent) for run in runs]
    every = sorted(set(keys)) if by else dict.fromkeys(str(path.parent) for path in paths)
    members: dict[str, list[Run]] = {key: [] for key in every}
    for key, run in zip(keys, runs, strict=True):
        members[key].append(run)
    rows = []
    for key, own in members.items():
        row = {"_config": "-", "n_samples": len(own), "path": key, "ctime": "-", "data": "-"}
        if own:
            values = ["/".join(dict.fromkeys(_text(run, name) for run in own)) for name in variables]
            newest = time.localtime(max(run.time for run in own))
            data = "/".join(sorted({scored_on(run) for run in own}))
            row |= {"_config": "-".join(values), "ctime": time.strftime("%Y-%m-%d %H:%M:%S", newest), "data": data}
        if by:
            row["path"] = os.path.commonpath([run.path.parent for run in own]) or "."
        rows.append(row)
    scores = spread(table(runs)[list(COLUMNS)], keys)
    scores.columns = scores.columns.map(".".join)
    named = pandas.DataFrame(rows, index=list(members), columns=["_config", "n_samples", "path", "ctime", "data"])
    return named.join(scores).reset_index(drop=True), list(members.values())


def best(rows: pandas.DataFrame, column: str) -> pandas.Series:
    """Which rows of `summary` have the best mean of a score, as printed, among those scored on the same data.

    Rows of fewer than LEAST runs do not count. All equal to the best are marked; none if all that count are equal.
    """
    better = SCORES[COLUMNS[column]].better
    means = rows[f"{column}.mean"].round(DECIMALS).where(rows[f"{column}.count"] >= LEAST)
    signed = -means if better == "lower" else means
    by_data = signed.groupby(rows.data)
    return bool(better) & signed.eq(by_data.transform("max")) & (by_data.transform("nunique") > 1)


def cells(rows: pandas.DataFrame, mark: str) -> pandas.DataFrame:
    """For people: the name of each row with its number of runs, and its scores as `0.425 ± 0.016`.

    mark: what becomes of the best, such as `**{}**`. Scores that no row has are left out.
    """
    found = {NAMED: [f"{config} (n = {n})" for config, n in zip(rows._config, rows.n_samples, strict=True)]}
    for column, key in COLUMNS.items():
        if rows[f"{column}.count"].any():
            values = rows[[f"{column}.mean", f"{column}.std"]].map(decimals).agg(" ± ".join, axis=1)
            texts = values.str.removesuffix(" ± -")
            found[SCORES[key].name] = texts.where(~best(rows, column), texts.map(mark.format)).to_list()
    return pandas.DataFrame(found)


def decimals(value: float) -> str:
    """With three decimals; `-` if it is missing."""
    return "-" if np.isnan(value) else f"{np.round(value, DECIMALS) + 0.0:.{DECIMALS}f}"  # no -0.0


def as_text(shown: pandas.DataFrame) -> pandas.DataFrame:
    """Numbers with three decimals, and everything as text."""
    return shown.assign(**shown.select_dtypes(float).map(decimals)).astype(str)


def as_csv(rows: pandas.DataFrame) -> str:
    """Comma-separated values, with the header of the authors' code. No text is a formula for a spreadsheet."""
    scores = [f"{column}.{part}" for column in COLUMNS for part in ("mean", "std")]
    text = as_text(rows[["_config", *scores, "n_samples", "path", "ctime"]])
    for name in ("_config", "path"):
        text[name] = text[name].str.replace(r"^([=+@\t]|-.)", r"'\1", regex=True)
    return text.to_csv(index=False, lineterminator="\n")


def as_markdown(rows: pandas.DataFrame) -> str:
    """A Markdown table with the best mean of each score in bold."""
    text = cells(rows, "**{}**").map(lambda cell: cell.replace("|", "\\|"))
    rule = ["---", *["---:"] * (len(text.columns) - 1)]
    return "".join("| " + " | ".join(line) + " |\n" for line in [text.columns, rule, *text.to_numpy()])


def as_latex(rows: pandas.DataFrame) -> str:
    """A LaTeX tabular (package booktabs) with the best mean of each score in bold."""
    text = cells(rows, "BEST{}")
    style = text.replace("^BEST", "", regex=True).style.hide(axis="index")
    style = style.format(escape="latex").format_index(escape="latex", axis="columns")
    bold = text.map(lambda cell: "textbf:--rwrap;" if cell.startswith("BEST") else "")
    columns = "l" + "r" * (len(text.columns) - 1)
    table = style.apply(lambda _: bold, axis=None).to_latex(hrules=True, column_format=columns)
    table = table.replace("±", "$\\pm$")
    return re.sub(r"(?m)^\[", "{[}", table)  # after a rule or a row, LaTeX would read [100] as its option


FORMATS = {"csv": as_csv, "markdown": as_markdown, "latex": as_latex}


def _check_recorded(variables: Sequence[str], runs: Sequence[Run], flag: str) -> None:
    """Raises UserError for a name that no run records."""
    known = sorted({name for run in runs for name in run.args})
    for name in variables:
        if runs and name not in known:
            close = difflib.get_close_matches(name, known) or known
            raise UserError(f"{flag} {name}: no run records it; choose from {', '.join(close) or 'nothing'}")


def _text(run: Run, name: str) -> str:
    """A recorded argument; `?` if it is missing."""
    value = run.args.get(name)
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(str, value)) + "]"
    return "?" if value is None else str(value)


def _row(rows: pandas.DataFrame, wanted: str) -> int:
    """The index of the row that --compare names. Raises UserError unless there is exactly one."""
    if rows.empty:
        raise UserError(f"--compare {wanted}: there is no finished run with scores to compare")
    given = (wanted, os.path.normpath(wanted))  # shells complete a folder with a slash at the end
    known = [(config, path, Path(path).name) for config, path in zip(rows._config, rows.path, strict=True)]
    matching = [i for i, called in enumerate(known) if not set(given).isdisjoint(called)]
    if len(matching) != 1:
        found = ", ".join(f"{config} ({path})" for config, path in zip(rows._config, rows.path, strict=True))
        raise UserError(f"--compare {wanted} names {len(matching)} rows; give the _config or path of one of {found}")
    return matching[0]


@command_line
def main(argv: Sequence[str] | None = None) -> None:
    """The command line."""
    collect(build_parser().parse_args(argv))


if __name__ == "__main__":
    start(main)
