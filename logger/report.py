"""One HTML page about a run or about several, complete in one file: python -m logger.report <run or folder of runs>"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from logger.reading import find_runs, read_run
from system.errors import UserError, command_line
from system.files import write_text


def write_report(paths: Sequence[str | Path], output: str | Path | None = None) -> Path:
    """Write the page of one run, or the comparison of several.

    Args:
        paths: run directories, or folders with runs anywhere below them.
        output: the file; None: `report.html` in the first path.
    Returns:
        The file written.
    Raises:
        UserError: a path holds no run, a run is damaged, or the file cannot be written.
    """
    runs = [read_run(path) for path in find_runs(paths)]
    output = Path(output) if output else Path(paths[0]) / "report.html"
    if not output.parent.is_dir():
        raise UserError(f"--output {output}: there is no folder {output.parent}; make it or name another")
    if len(runs) == 1:
        from logger import report_run

        content = report_run.report(runs[0])
    else:
        from logger import report_comparison

        content = report_comparison.report(runs, f"{len(runs)} runs in {_names(paths)}")
    write_text(output, content)
    return output


def _names(paths: Sequence[str | Path]) -> str:
    """The folders that were asked for, each once; of a single run, the one it lies in."""
    folders = (Path(path).resolve() for path in paths)
    return ", ".join(dict.fromkeys(f.parent.name if (f / "args.json").is_file() else f.name for f in folders))


@command_line
def main(argv: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m logger.report", description=__doc__)
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a run (logs/version_0) or a folder of runs")
    parser.add_argument("--output", metavar="FILE", help="where to write [report.html in the first PATH]")
    args = parser.parse_args(argv)
    print(f"report  {write_report(args.paths, args.output)}")


if __name__ == "__main__":
    sys.exit(main())
