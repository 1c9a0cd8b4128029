"""`python -m datasets.render dsprites|shapes3d DIR`: renders a replica of an official data set into a directory."""

from __future__ import annotations

from argparse import ArgumentTypeError
from importlib import import_module
from pathlib import Path

from system.command_line import Parser, command_line, start
from system.files import making


def _factor_and_number(text: str) -> tuple[str, int]:
    name, _, k = text.partition("=")
    if not name or not k.isdecimal():
        raise ArgumentTypeError(f"{text!r}: give a factor and a number, as in pos_x=4")
    return name, int(k)


@command_line
def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = Parser(prog="python -m datasets.render", description=__doc__, allow_abbrev=False)
    parser.add_argument("dataset", choices=("dsprites", "shapes3d"), help="the data set to render")
    parser.add_argument(
        "directory", type=Path, metavar="DIR", help="folder of the file, which gets the official file's name"
    )
    parser.add_argument(
        "--every",
        type=_factor_and_number,
        action="append",
        default=[],
        metavar="FACTOR=K",
        help="render only every K-th value of a factor, for a smaller file; may be repeated",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    options = parser.parse_args(arguments)
    renderer = import_module(f"datasets.render.{options.dataset}")
    with making(options.directory / renderer.FILE_NAME, "name a directory that can be written"):
        print(renderer.render_file(options.directory, not options.quiet, dict(options.every)))


if __name__ == "__main__":
    start(main)
