"""`python -m datasets --list`: a line a data set; `python -m datasets NAME`: all that is known of it."""

from __future__ import annotations

from datasets import DATASETS, describe, find
from system.command_line import Parser, command_line, start
from system.errors import UserError


@command_line
def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = Parser(prog="python -m datasets", description=__doc__, allow_abbrev=False)
    parser.add_argument("datasets", nargs="*", metavar="NAME", help="data sets to describe in full")
    parser.add_argument("--list", action="store_true", help="a line for each data set (the default)")
    args = parser.parse_args(arguments)
    for name in args.datasets:
        if name not in DATASETS:
            raise UserError(f"{name!r} is not a data set; choose from {', '.join(DATASETS)}")
    lines = [f"{name:16} {find(name).title}" for name in DATASETS]
    print("\n\n".join(map(describe, args.datasets)) or "\n".join(lines))


if __name__ == "__main__":
    start(main)
