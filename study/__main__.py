"""The study: which runs of the plan are missing, and the tables of those that there are."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from study import plan
from system.command_line import Parser, command_line, start
from system.errors import UserError


def missing(study: Path, names: Sequence[str] | None, flags: Sequence[str] = ()) -> list[str]:
    """The commands of the runs without a complete record, then those of missing full scores, in the plan's order.

    They run from the project's folder, each with one thread, and may be repeated: what is finished is left as it is.
    """
    from study.records import record, status

    training, scoring = [], []
    for c, seed in plan.jobs(names):
        log, folder = f"logs/study/{c.name}/seed_{seed}", record(study, c.name, seed)
        machine = ["--quiet", "--num-threads=1", *flags]
        if status(folder).get("state") != "finished":
            training.append(["main.py", *c.command(seed), *machine, "--resume=once", f"--log-path={log}"])
        if c.full and not (folder / f"scores_epoch_{c.epochs}.json").is_file():
            scores = ["--evaluate", f"--epoch={c.epochs}", "--metric-preset=full", "--visualise=false"]
            scoring.append(["main.py", *scores, *machine, f"--log-path={log}/version_0"])
    return [f"python {shlex.join(command)}" for command in [*training, *scoring]]


def collect(folders: Sequence[Path], study: Path) -> None:
    """Take in every run among and below the folders; prints a line for each."""
    from logger import find_runs
    from study.analysis import analyse
    from study.records import collect, keep_weights, status

    taken = []
    for run in find_runs(folders):
        try:
            folder = collect(run, study)
        except UserError as error:
            print(f"left out: {error}")
            continue
        taken.append(run)
        print(f"{run}: {folder}")
        if status(folder)["state"] == "finished":
            analyse(run, study)
    for run in taken:
        if kept := keep_weights(run, study):
            print(f"weights of the median seed: {kept}")


@command_line
def main(argv: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = Parser(prog="python -m study", description=__doc__, allow_abbrev=False)
    what = parser.add_mutually_exclusive_group(required=True)
    add = what.add_argument
    add("--list", action="store_true", help="print the commands of missing runs, and of missing full scores")
    add("--collect", nargs="+", type=Path, metavar="DIR", help="take in the runs among and below these folders")
    add("--tables", action="store_true", help="make results.md, runs.csv and the figures anew")
    add = parser.add_argument
    add("--only", nargs="+", metavar="NAME", help="with --list: only these groups or configurations")
    add("--flags", default="", help="with --list: more flags of main.py, such as '--device cuda'")
    add("--into", type=Path, default=Path(__file__).parent, metavar="DIR", help="folder of records and tables [study]")
    args = parser.parse_args(argv)
    if args.list:
        print("\n".join(missing(args.into, args.only, shlex.split(args.flags))))
        return
    from study import figures, report

    if args.collect:
        collect(args.collect, args.into)
    report.write(args.into)
    figures.write(args.into)
    print(f"tables: {args.into / 'results.md'}, {args.into / 'runs.csv'}")


if __name__ == "__main__":
    start(main)
