"""The paper's tables: start missing runs of the plan, continue interrupted ones, and update the report."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from study import plan
from system.command_line import Parser, command_line, start
from system.errors import UserError
from system.files import write_text


def build_parser() -> argparse.ArgumentParser:
    """The parser with every flag."""
    parser = Parser(prog="python -m study", description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help="only these groups or configurations of study/plan.toml"
    )
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="number of runs at a time, one thread each [1]"
    )
    parser.add_argument(
        "--logs", type=Path, default=Path("logs/study"), metavar="DIR", help="folder of the runs [logs/study]"
    )
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="folder with the official files in dsprites/ and shapes3d/"
    )
    parser.add_argument(
        "--machine",
        type=shlex.split,
        default=[],
        metavar="FLAGS",
        help="flags of main.py for this machine, such as '--device cuda --data-on-device --compile'",
    )
    own = Path(__file__).resolve().parent
    parser.add_argument("--into", type=Path, default=own, metavar="DIR", help="folder of records and report [study]")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--list", action="store_true", help="only list missing runs")
    instead.add_argument("--harvest", nargs="+", type=Path, metavar="RUN", help="only add these runs to the report")
    instead.add_argument(
        "--analyse",
        nargs="+",
        type=Path,
        metavar="RUN",
        help="only add to the report what the scores of these runs lose to rotations, and measures of the basis",
    )
    instead.add_argument("--report", action="store_true", help="only update the report")
    return parser


def make_report(study: Path) -> None:
    """Write the figures and README.md into the folder."""
    from study import figures, report

    figures.write(study)
    write_text(study / "README.md", report.text(study))
    print(f"report  {study / 'README.md'}", flush=True)


def add_run(run: Path, study: Path, weights: bool = True) -> None:
    """Add a run to the study. weights: also keep those of the median seed."""
    from study import harvest

    print(f"{run}: {harvest.add(run, study)}", flush=True)
    if weights and (folder := harvest.keep_checkpoint(run, study)):
        print(f"weights of the median seed: {folder}", flush=True)


@command_line
def main(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    args = build_parser().parse_args(argv)
    if args.jobs < 1:
        raise UserError(f"--jobs {args.jobs}: give 1 or more")
    _check_machine(args.machine)
    if args.harvest:
        from logger import find_runs

        for run in find_runs(args.harvest):
            add_run(run, args.into)
    if args.analyse:
        from logger import find_runs
        from study.analysis import analyse

        for run in find_runs(args.analyse):
            print(f"{run}: {analyse(run, args.into)}", flush=True)
    if args.harvest or args.analyse or args.report:
        make_report(args.into)
        return 0
    return _run_plan(args)


def _check_machine(flags: Sequence[str]) -> None:
    """Raise UserError if the flags change what a run computes: the plan says that."""
    from main import build_parser as main_parser

    given = vars(main_parser().parse_args(flags))
    changed = [name for name, value in vars(main_parser().parse_args([])).items() if given[name] != value]
    if wrong := [name for name in changed if name not in ("device", "data_on_device", "compile")]:
        raise UserError(f"--machine: --{wrong[0]} is for the plan to say; give --device, --data-on-device, --compile")


def _run_plan(args: argparse.Namespace) -> int:
    from study.analysis import analyse
    from study.harvest import record, status
    from study.runner import Runner, missing

    logs, data = args.logs.resolve(), args.data and args.data.resolve()  # main.py runs in its own folder
    jobs = missing(args.into, logs, args.only)
    for configuration, seed in jobs:
        done = status(record(args.into, configuration, seed)).get("epochs", 0)
        print(f"missing: {configuration.name} seed {seed}, {done} of {configuration.epochs} epochs done")
    planned = sum(1 for _ in plan.jobs(args.only))
    print(f"{planned - len(jobs)} of {planned} runs are complete", flush=True)
    if args.list:
        return 0

    def after(run: Path, complete: bool) -> None:
        add_run(run, args.into, weights=complete)
        if complete:
            analyse(run, args.into)
        make_report(args.into)

    return Runner(args.into, logs, data, args.machine).run(jobs, args.jobs, after)


if __name__ == "__main__":
    start(main)
