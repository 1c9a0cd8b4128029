"""`python -m datasets --list`: describes every data set: images, factors, source, licence, checksum."""

from __future__ import annotations

from datasets import DATASETS, describe
from system.command_line import Parser, command_line, start
from system.errors import UserError


@command_line
def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = Parser(prog="python -m datasets", description=__doc__, allow_abbrev=False)
    parser.add_argument("datasets", nargs="*", metavar="NAME", help="data sets to list (default: all)")
    parser.add_argument("--list", action="store_true", help="list all (the default)")
    args = parser.parse_args(arguments)
    for name in args.datasets:
        if name not in DATASETS:
            raise UserError(f"{name!r} is not a data set; choose from {', '.join(DATASETS)}")
    print("\n\n".join(describe(name) for name in args.datasets or DATASETS))


if __name__ == "__main__":
    start(main)
