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
from typing import TYPE_CHECKING

from system.command_line import Parser, command_line, start
from system.errors import UserError
from system.files import writable_folder, write_text

if TYPE_CHECKING:
    import pandas

    from logger.reading import Run

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

    def add(name: str, **more) -> None:
        parser.add_argument(*dict.fromkeys([name, name.replace("_", "-")]), **more)

    add("--in_dir", required=True, metavar="DIR", help="folder with experiment directories, at any depth")
    add("--result_file", required=True, metavar="FILE", help="file of the table")
    add(
        "--config_variables",
        type=names,
        metavar="LIST",
        help="recorded arguments that name the rows, such as '[model, dataset, latents]' [model, dataset]",
    )
    add("--group_by", type=names, metavar="LIST", help="one row per combination of these arguments, not per directory")
    add("--format", choices=tuple(FORMATS), default="csv", help="format of the table [csv]")
    add("--compare", nargs=2, metavar="CONFIG", help="two rows, by _config or path: paired differences over seeds")
    return parser


def collect(args: argparse.Namespace) -> None:
    """Write the table, and the comparison if one is asked for. Raises UserError."""
    from logger.tables import doubts, newest, paired

    if not Path(args.in_dir).is_dir():
        raise UserError(f"--in_dir {args.in_dir} is not a folder")
    writable_folder(args.result_file, "--result_file")
    paths, runs, left_out = samples_below(args.in_dir)
    for line in left_out:
        print(line, file=sys.stderr)
    rows, members = rows_and_members(paths, runs, args)
    for config, path, row in zip(rows._config, rows.path, members, strict=True):
        for doubt in doubts([runs[i] for i in row.index]):
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
        differences = paired(*(members[i] for i in compared)).reset_index()
        differences.columns = ["score", "difference", "ci95.low", "ci95.high", "n_seeds"]
        file = result_file.with_name(f"{result_file.stem}.paired.csv")
        write_text(file, as_text(differences).to_csv(index=False, lineterminator="\n"))
        pair = rows.iloc[compared]
        first, second = pair._config if pair._config.nunique() > 1 else pair.path  # rows may share a _config
        if pair.data.nunique() > 1:
            measured = " and on ".join(pair.data)
            print(f"note: {first} and {second} were scored on {measured}: these differ, too", file=sys.stderr)
        for config, runs_of in zip((first, second), (members[i] for i in compared), strict=True):
            used = newest(runs_of)
            repeated = runs_of.seed[runs_of.seed.duplicated()].unique()
            for seed, path in used[used.seed.isin(repeated)][["seed", "path"]].to_numpy():
                print(f"note: {config} has several runs of seed {seed}: {path}, started last, is used", file=sys.stderr)
        print(f"{first} minus {second}, over common seeds; 95% confidence where n is 3 or more: {file}")
        print(as_text(differences).to_string(index=False))


def samples_below(folder: str) -> tuple[list[Path], list[Run], list[str]]:
    """All run directories below a folder, the runs that count as samples, and one line for each run left out.

    Runs of this project count if they are finished and scored, those of the authors' code if they logged a score.
    """
    from logger.reading import find_runs, read_run
    from logger.tables import COLUMNS

    left_out: list[str] = []
    paths, runs = find_runs([folder], left_out), []
    for path in paths:
        try:
            run = read_run(path)
        except UserError as error:
            left_out.append(f"{path}: {error}")
            continue
        if run.state not in ("finished", "unknown"):
            left_out.append(f"{path}: left out, it is {'failed' if run.state == 'failed' else 'unfinished'}")
        elif not run.scores.keys() & COLUMNS.values():
            left_out.append(f"{path}: left out, it has none of the table's scores")
        else:
            runs.append(run)
    return paths, runs, left_out


def rows_and_members(
    paths: Sequence[Path], runs: Sequence[Run], args: argparse.Namespace
) -> tuple[pandas.DataFrame, list[pandas.DataFrame]]:
    """The rows of `summary`, by directory or by recorded arguments, and each row's runs as `logger.tables.table`."""
    from logger.tables import scored_on, table

    recorded = [run.args for run in runs]
    for flag in ("group_by", "config_variables"):
        _check_recorded(getattr(args, flag) or (), recorded, f"--{flag}")
    samples = table(runs)

    def values_of(variables: Sequence[str]) -> pandas.DataFrame:
        return samples[[]].assign(**{name: [_text(found.get(name)) for found in recorded] for name in variables})

    values = values_of(args.config_variables or args.group_by or ["model", "dataset"])
    by_value = args.group_by and runs
    key = values_of(args.group_by).agg("\0".join, axis="columns") if by_value else samples.folder.map(str)
    rows = summary(samples, values, key)
    scored = values[[]].assign(data=[scored_on(run) for run in runs])
    rows["data"] = scored.data.groupby(key).agg(lambda names: "/".join(sorted(set(names))))
    if not args.group_by:  # include directories without samples
        experiments = [str(path) for path in dict.fromkeys(path.parent for path in paths)]
        rows = rows.reindex(experiments)
        rows["path"] = experiments
    rows = rows.astype({"_config": object, "ctime": object, "data": object})  # without runs they would be numeric
    rows = rows.fillna({"_config": "-", "n_samples": 0, "ctime": "-", "data": "-"}).astype({"n_samples": int})
    return rows, [samples[key == name] for name in rows.index]


def summary(samples: pandas.DataFrame, values: pandas.DataFrame, key: pandas.Series) -> pandas.DataFrame:
    """One row per value of `key`: `_config`, `<score>.mean`, `.std` (n - 1), `.count`, `n_samples`, `path`."""
    from logger.tables import COLUMNS

    groups = samples.groupby(key)
    scores = groups[list(COLUMNS)]
    parts = {"mean": scores.mean(), "std": scores.std(), "count": scores.count()}
    rows = parts["mean"][[]].join([part.add_suffix(f".{name}") for name, part in parts.items()])
    config = values.groupby(key).agg(lambda column: "/".join(column.unique()))
    rows["_config"] = ["-".join(row) for row in config.to_numpy()]
    rows["n_samples"] = groups.size()
    rows["path"] = groups.folder.agg(lambda folders: os.path.commonpath(list(folders)) or ".")
    rows["ctime"] = groups.time.max().map(lambda newest: time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(newest)))
    return rows


def best(rows: pandas.DataFrame, column: str) -> pandas.Series:
    """Which rows of `summary` have the best mean of a score, as printed, among those scored on the same data.

    Rows of fewer than LEAST runs do not count. All equal to the best are marked; none if all that count are equal.
    """
    from metrics.info import COLUMNS, SCORES

    better = SCORES[COLUMNS[column]].better
    means = rows[f"{column}.mean"].round(DECIMALS).where(rows[f"{column}.count"] >= LEAST)
    if not better:
        return means.isna() & False
    signed = -means if better == "lower" else means
    by_data = signed.groupby(rows.data)
    return signed.eq(by_data.transform("max")) & (by_data.transform("nunique") > 1)


def cells(rows: pandas.DataFrame, mark: str) -> pandas.DataFrame:
    """For people: the name of each row with its number of runs, and its scores as `0.425 ± 0.016`.

    mark: what becomes of the best, such as `**{}**`. Scores that no row has are left out.
    """
    from metrics.info import COLUMNS, SCORES

    found = {NAMED: [f"{config} (n = {n})" for config, n in zip(rows._config, rows.n_samples, strict=True)]}
    for column, key in COLUMNS.items():
        values = as_text(rows[[f"{column}.mean", f"{column}.std"]])
        joined = values.agg(" ± ".join, axis=1).str.replace(" ± -", "", regex=False)
        if (joined != "-").any():
            marked = best(rows, column)
            pairs = zip(joined, marked, strict=True)
            found[SCORES[key].name] = [mark.format(cell) if one else cell for cell, one in pairs]
    import pandas

    return pandas.DataFrame(found).astype(str)


def as_text(shown: pandas.DataFrame) -> pandas.DataFrame:
    """Format numbers with three decimals, and missing values as `-`."""
    text = (shown.select_dtypes(float).round(DECIMALS) + 0.0).map(f"{{:.{DECIMALS}f}}".format)  # no -0.0
    return shown.assign(**text.mask(shown[text.columns].isna(), "-")).astype(str)


def as_csv(rows: pandas.DataFrame) -> str:
    """Comma-separated values, with the header of the authors' code. No text is a formula for a spreadsheet."""
    from metrics.info import COLUMNS

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


def _check_recorded(variables: Sequence[str], recorded: Sequence[dict], flag: str) -> None:
    """Raises UserError for a name that no run records."""
    known = sorted({name for args in recorded for name in args})
    for name in variables:
        if recorded and name not in known:
            close = difflib.get_close_matches(name, known) or known
            raise UserError(f"{flag} {name}: no run records it; choose from {', '.join(close) or 'nothing'}")


def _text(value) -> str:
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
