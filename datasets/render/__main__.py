"""`python -m datasets.render dsprites|shapes3d DIR`: renders a replica of an official data set into a directory."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from system.command_line import Parser, command_line, start
from system.errors import UserError
from system.files import making

# name on the command line -> its module, with FILE_NAME and render_file(directory, progress, every) -> path
RENDERERS = {
    "dsprites": "datasets.render.dsprites",
    "shapes3d": "datasets.render.shapes3d",
}


def _parser() -> Parser:
    parser = Parser(prog="python -m datasets.render", description=__doc__, allow_abbrev=False)
    parser.add_argument("dataset", choices=RENDERERS, help="the data set to render")
    parser.add_argument("directory", metavar="DIR", help="folder of the file, which gets the official file's name")
    parser.add_argument(
        "--every",
        action="append",
        default=[],
        metavar="FACTOR=K",
        help="render only every K-th value of a factor, for a smaller file; may be repeated",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser


def _every(options: list[str]) -> dict[str, int]:
    every = {}
    for option in options:
        name, _, k = option.partition("=")
        if not name or not k.isdecimal():
            raise UserError(f"--every {option}: give a factor and a number, as in --every pos_x=4")
        every[name] = int(k)
    return every


@command_line
def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    options = _parser().parse_args(arguments)
    renderer = import_module(RENDERERS[options.dataset])
    every = _every(options.every)
    directory = Path(options.directory)
    with making(directory / renderer.FILE_NAME, "name a directory that can be written"):
        print(renderer.render_file(directory, progress=not options.quiet, every=every))


if __name__ == "__main__":
    start(main)
