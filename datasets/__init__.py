"""Data sets by name. A new one is a line in DATASETS and the module it names (docs/adding_a_data_set.md)."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

from datasets.factor_dataset import FactorDataset, split_indices
from system.errors import UserError
from system.files import write_text

__all__ = ["DATASETS", "FactorDataset", "check_data_path", "load_dataset", "split_indices"]

# name on the command line -> the module that loads it. A module has
#   FILE: DataFile                                         the published file
#   load(path, *, fixed_shape, progress) -> FactorDataset  reads a file of that layout
#   render(directory, progress) -> path                    draws a replica of it; left out where nothing can draw one
#   REPLICA_VERSION: int                                   to be raised when `render` draws other pixels than before
#   FIXED_SHAPES: int                                      how many shapes --fixed_shape chooses from; left out for none
# It is imported when it is used, so that `main.py --help` waits for nothing.
DATASETS: dict[str, str] = {
    "dsprites": "datasets.dsprites",
    "shapes3d": "datasets.shapes3d",
}


def load_dataset(
    name: str,
    data_path: str | Path | None = None,
    *,
    fixed_shape: int | None = None,
    progress: bool = True,
    download: bool = True,
) -> FactorDataset:
    """The data set `name`, from its file, from its publisher, or from the project's own renderer.

    Args:
        data_path: the published file, or the directory that has it, or into which it is fetched. None: the replica is
            drawn into the cache directory at the first use (`$LIE_VAE_CACHE`, else `~/.cache/lie-group-vae`).
        fixed_shape: only this shape's images, and no factor `shape` (dSprites).
        progress: whether long work shows a bar on stderr.
        download: whether a missing file may be fetched.

    Raises: UserError, one line that names the flag or the file and the remedy.
    """
    check_data_path(name, data_path, fixed_shape)
    module = import_module(DATASETS[name])
    if data_path is None:
        path = _replica(name, module, progress)
    else:
        path = _file(Path(data_path), module.FILE)
        if not path.exists():
            if not download:
                raise UserError(
                    f"--data-path {data_path}: there is no {path.name}; fetch it with {_fetch_command(name, path)}"
                )
            from datasets.download import fetch
            from datasets.files import make_directory

            make_directory(path.parent, "name another with --data-path, or leave the flag out to draw the replica")
            fetch(module.FILE, path.parent, progress=progress)
    return module.load(path, fixed_shape=fixed_shape, progress=progress)


def check_data_path(name: str, data_path: str | Path | None, fixed_shape: int | None = None) -> None:
    """Raises UserError if the data set cannot be loaded from `data_path`, as far as can be told without any work.

    A file must begin as one of its kind does; a directory must have it, or be one into which it can be fetched.
    """
    if name not in DATASETS:
        raise UserError(f"--dataset {name} is not known: choose from {', '.join(DATASETS)}")
    module = import_module(DATASETS[name])
    if fixed_shape is not None:
        shapes = getattr(module, "FIXED_SHAPES", 0)
        if not shapes:
            raise UserError(f"--fixed_shape {fixed_shape} restricts dsprites only: leave it out with --dataset {name}")
        if not 0 <= fixed_shape < shapes:
            raise UserError(f"--fixed_shape {fixed_shape}: give a shape from 0 to {shapes - 1}, or leave it out")
    if data_path is None:
        _check_replica(name, module)
    else:
        _check_file(Path(data_path), name, module.FILE)


def _file(data_path: Path, file) -> Path:
    """The file meant by `--data-path`, which may name it or its directory."""
    return data_path if data_path.is_file() or data_path.name == file.name else data_path / file.name


def _fetch_command(name: str, path: Path) -> str:
    return f"`python -m datasets.download {name} {path.parent}`"


def _check_file(data_path: Path, name: str, file) -> None:
    from datasets.files import can_be_written

    if not data_path.exists() and data_path.suffix == Path(file.name).suffix and data_path.name != file.name:
        raise UserError(f"--data-path {data_path}: there is no such file; name {file.name} or its directory")
    path = _file(data_path, file)
    if path.is_file():
        try:
            with path.open("rb") as handle:
                start = handle.read(len(file.magic))
        except OSError as error:
            raise UserError(f"--data-path {path} cannot be read ({error.strerror}): mend its permissions") from None
        if start != file.magic:
            raise UserError(
                f"--data-path {path}: expected a {path.suffix or 'data'} file, found one that starts with {start!r}: "
                f"delete it and fetch it with {_fetch_command(name, path)}"
            )
    elif path.exists():
        raise UserError(f"--data-path {path} is not a file: name {file.name} or its directory")
    elif not can_be_written(path.parent):
        raise UserError(
            f"--data-path {data_path}: there is no {file.name}, and {path.parent} cannot be written to fetch it into: "
            "name its directory, or leave the flag out to draw the replica"
        )


def _check_replica(name: str, module) -> None:
    from datasets.files import cache_directory, can_be_written

    if not hasattr(module, "render"):
        raise UserError(f"--data-path is needed for --dataset {name}: name {module.FILE.name} or its directory")
    directory = cache_directory(name)
    if not (directory / module.FILE.name).exists() and not can_be_written(directory):
        raise UserError(
            f"the replica of {name} cannot be drawn into {directory}, which cannot be written: set LIE_VAE_CACHE to a "
            "directory that can, or give --data-path"
        )


def _replica(name: str, module, progress: bool) -> Path:
    """The replica's file in the cache directory, drawn there if it is missing; one line on stderr says so."""
    from datasets.files import cache_directory, locked, make_directory

    path = cache_directory(name) / module.FILE.name
    if not _is_drawn(path, module.REPLICA_VERSION):
        make_directory(path.parent, "set LIE_VAE_CACHE to a directory that can be written, or give --data-path")
        with locked(path):
            if not _is_drawn(path, module.REPLICA_VERSION):
                print(f"no --data-path given: drawing the replica of {name} into {path.parent}", file=sys.stderr)
                module.render(path.parent, progress)
                write_text(_version_file(path), f"{module.REPLICA_VERSION}\n")
                return path
    print(f"no --data-path given: using the replica of {name} in {path.parent}", file=sys.stderr)
    return path


def _version_file(path: Path) -> Path:
    return path.with_name(path.name + ".version")


def _is_drawn(path: Path, version: int) -> bool:
    """Whether the replica is there, and was not drawn by a renderer of another version. One put there by hand stays."""
    noted = _version_file(path)
    return path.exists() and (not noted.exists() or noted.read_text().strip() == str(version))
