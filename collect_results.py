"""Hundreds of runs in, one table out: means and spreads of every score by configuration."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from results import tables
from results.runs import find
from results.summary import Row, paired, rows_by_arguments, rows_by_directory
from system.errors import UserError, command_line
from system.files import write_text


def names(text: str) -> list[str]:
    """'[model, dataset]' or 'model,dataset' -> the names; `-` and `_` are alike."""
    found = [name.strip().strip("'\"").lstrip("-").replace("-", "_") for name in text.strip().strip("[]").split(",")]
    if not all(found):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of arguments such as '[model, dataset]'")
    return found


def build_parser() -> argparse.ArgumentParser:
    """Every flag; each may be spelled with `-` or `_`."""
    parser = argparse.ArgumentParser(prog="collect_results.py", description=__doc__, allow_abbrev=False)

    def add(name: str, **more) -> None:
        parser.add_argument(*dict.fromkeys([name, name.replace("_", "-")]), **more)

    add("--in_dir", required=True, metavar="DIR", help="folder with experiment directories, at any depth")
    add("--result_file", required=True, metavar="FILE", help="the table")
    add(
        "--config_variables",
        type=names,
        default=["model", "dataset"],
        metavar="LIST",
        help="recorded arguments that name a row, such as '[model, dataset, latents]'",
    )
    add("--group_by", type=names, metavar="LIST", help="one row for each value of these, in place of each directory")
    add("--format", choices=tuple(tables.FORMATS), default="csv", help="of the table [csv]")
    add("--quartiles", action="store_true", help="also median and inter-quartile range of every score")
    add("--compare", nargs=2, metavar="CONFIG", help="two rows, by _config or path: paired differences over seeds")
    add("--plot", metavar="PNG", help="box plot of every score by configuration")
    return parser


def collect(args: argparse.Namespace) -> None:
    """Write what the flags ask for. Raises UserError."""
    found = find(args.in_dir)
    for line in found.left_out:
        print(line, file=sys.stderr)
    if args.group_by:
        rows = rows_by_arguments(found, args.group_by)
    else:
        rows = rows_by_directory(found, args.config_variables)
    statistics = ["mean", "std", *(["median", "iqr"] if args.quartiles else [])]
    result_file = Path(args.result_file)
    result_file.parent.mkdir(parents=True, exist_ok=True)
    write_text(result_file, tables.FORMATS[args.format](rows, statistics))
    print(tables.overview(rows))
    print(f"{len(found.runs)} runs in {len(rows)} rows, {len(found.left_out)} left out: {result_file}")
    if args.plot:
        from results.plots import box_plot

        box_plot(rows, args.plot)
        print(f"box plot: {args.plot}")
    if args.compare:
        first, second = (_row(rows, wanted) for wanted in args.compare)
        differences = paired(first, second)
        file = result_file.with_name(f"{result_file.stem}.paired.csv")
        write_text(file, tables.paired_csv(differences))
        print(f"{first.config} minus {second.config}, over common seeds, 95% confidence: {file}")
        print(tables.screen([line.split(",") for line in tables.paired_csv(differences).splitlines()]))


def _row(rows: Sequence[Row], wanted: str) -> Row:
    matching = [row for row in rows if wanted in (row.config, str(row.path), row.path.name)]
    if len(matching) != 1:
        found = ", ".join(f"{row.config} ({row.path})" for row in rows)
        raise UserError(f"--compare {wanted} names {len(matching)} rows; give the _config or path of one of {found}")
    return matching[0]


@command_line
def main(argv: Sequence[str] | None = None) -> None:
    """The command line."""
    collect(build_parser().parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
