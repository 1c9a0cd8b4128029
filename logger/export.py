"""Export a run in the layout of the authors' checkpoints: `python -m logger.export RUN DIRECTORY`.

`checkpoints/model.pt` is the state dict, `checkpoints/args.pt` a pickled argparse.Namespace, `log_metrics.txt` the text
log. `main.py --evaluate=True --log-path=DIRECTORY` reads it back.
"""

from __future__ import annotations

import shutil
from argparse import Namespace
from pathlib import Path

from logger.run_directory import RunDirectory
from system.command_line import Parser, command_line, start
from system.errors import UserError
from system.files import load_tensors, make_directory, replacing, write_tensors


def export(run: str | Path, directory: str | Path) -> RunDirectory:
    """Export `run` (a `version_<n>`) to `directory`, and return the exported run.

    Raises:
        UserError: `run` is not a run or has no model, or `directory` is not writable or a run of this project.
    """
    source, target = RunDirectory.existing(run, "RUN"), RunDirectory(directory)
    if source.path.resolve() == target.path.resolve() or target.args_file.exists():
        raise UserError(f"{directory} is a run, whose files would be replaced: name another folder")
    args, weights = source.read_args(), load_tensors(source.model_file)
    make_directory(target.checkpoints, "name another folder")
    write_tensors(weights, target.model_file)
    write_tensors(Namespace(**args), target.reference_args_file)
    if source.metrics_file.is_file():
        with replacing(target.metrics_file) as temporary:
            shutil.copyfile(source.metrics_file, temporary)
    return target


@command_line
def main(argv: list[str] | None = None) -> None:
    """The command line."""
    parser = Parser(prog="python -m logger.export", description=__doc__.splitlines()[0])
    parser.add_argument("run", metavar="RUN", help="a run directory, such as logs/version_0")
    parser.add_argument("directory", metavar="DIRECTORY", help="folder to write to")
    args = parser.parse_args(argv)
    made = export(args.run, args.directory)
    print(f"exported {args.run} to {made.path}: {made.model_file.name} and {made.reference_args_file.name}")


if __name__ == "__main__":
    start(main)
