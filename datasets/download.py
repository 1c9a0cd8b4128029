"""Downloads the official files of a data set: `python -m datasets.download dsprites DIR`."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from datasets import DATASETS, find
from datasets.files import fetch, is_accepted
from system.command_line import Parser, command_line, start
from system.errors import UserError


@command_line
def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns the exit status: 130 if interrupted."""
    parser = Parser(prog="python -m datasets.download", description=__doc__)
    parser.add_argument("dataset", choices=DATASETS, help="name of the data set")
    parser.add_argument("directory", type=Path, help="folder to download into; created if missing")
    parser.add_argument("--url", help="URL of a mirror of the file (default: the publisher's)")
    parser.add_argument("--quiet", action="store_true", help="show no progress bar")
    args = parser.parse_args(arguments)
    files = find(args.dataset).files
    if not files:
        raise UserError(f"{args.dataset} is your own: there is nothing to fetch")
    if args.url and len(files) > 1:
        names = ", ".join(file.name for file in files)
        raise UserError(f"--url {args.url}: {args.dataset} has {len(files)} files ({names}): put them there yourself")
    try:
        for file in files:
            there = (args.directory / file.name).is_file()
            file = replace(file, url=args.url or file.url)
            path = fetch(file, args.directory, progress=not args.quiet)  # verifies what it downloads
            if there and not is_accepted(file, path):
                raise UserError(f"{path} is there already and is not the official file: move it away, then repeat")
            print(path)
    except KeyboardInterrupt:
        print("interrupted; the same command continues from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    start(main)
