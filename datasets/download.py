"""Fetches the official files of a data set: `python -m datasets.download dsprites DIR`."""

from __future__ import annotations

import sys
from pathlib import Path

from datasets import DATASETS, find
from datasets.fetch import fetch, is_official, warn_unverified
from datasets.files import DataFile
from datasets.locate import files_of
from system.errors import Parser, UserError, command_line
from system.output import ignore_failed_writes


@command_line
def main(arguments: list[str] | None = None) -> int:
    """The command line. Its exit status is 130 when it was interrupted."""
    parser = Parser(prog="python -m datasets.download", description=__doc__)
    parser.add_argument("dataset", choices=DATASETS, help="the data set")
    parser.add_argument("directory", type=Path, help="where its file goes; made if missing")
    parser.add_argument("--url", help="a mirror of the file (default: its publisher)")
    parser.add_argument("--quiet", action="store_true", help="show no progress bar")
    args = parser.parse_args(arguments)
    files = files_of(find(args.dataset))
    if not files:
        raise UserError(f"{args.dataset} is your own: there is nothing to fetch")
    if args.url and len(files) > 1:
        names = ", ".join(file.name for file in files)
        raise UserError(f"--url {args.url}: {args.dataset} has {len(files)} files ({names}): put them there yourself")
    try:
        for file in files:
            fetch_checked(file, args.directory, args.url, not args.quiet)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def fetch_checked(file: DataFile, directory: Path, url: str | None, progress: bool) -> None:
    """Fetches the file where it is missing, verifies it also where it is not, and prints where it is."""
    there = (directory / file.name).is_file()
    path = fetch(file, directory, url=url, progress=progress)
    if there and not file.checksum:
        warn_unverified(file, path)
    elif not is_official(file, path) and file.checksum:
        raise UserError(f"{path} is there already and is not the official file: move it away, then repeat")
    print(path)


if __name__ == "__main__":
    ignore_failed_writes()
    sys.exit(main())
