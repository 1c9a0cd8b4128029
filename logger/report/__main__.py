"""The command line of `python -m logger.report`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from logger import report
from system.command_line import Parser, command_line, start


@command_line
def main(argv: Sequence[str] | None = None) -> None:
    """Write the report; print a line on stderr for each run left out."""
    parser = Parser(prog="python -m logger.report", description=report.__doc__)
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a run (logs/version_0) or a folder of runs")
    parser.add_argument("--output", metavar="FILE", help="where to write [report.html in the first PATH]")
    parser.add_argument("--baseline", metavar="LETTER", help="group that others are compared with [A]")
    args = parser.parse_args(argv)
    path, left_out = report.write_report(args.paths, args.output, args.baseline)
    for line in left_out:
        print(line, file=sys.stderr)
    print(f"report  {path}" + (f"  ({len(left_out)} left out)" if left_out else ""))


if __name__ == "__main__":
    start(main)
