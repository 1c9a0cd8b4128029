"""Finds the files of a data set: in `--data-path`, downloaded if missing, or as a replica in the cache."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from pkgutil import resolve_name

from datasets.spec import FETCH_AGAIN, DataFile, DatasetSpec, Replica
from system.errors import UserError
from system.files import can_be_written, making, write_text


def cache_directory(name: str) -> Path:
    """Folder of replicas and conversions of the data set, in `$LIE_VAE_CACHE` or else `~/.cache/lie-group-vae`.

    Raises UserError if the home directory that this refers to is unknown.
    """
    root = os.environ.get("LIE_VAE_CACHE") or "~/.cache/lie-group-vae"
    try:
        return Path(root).expanduser() / name
    except RuntimeError:
        raise UserError(f"the home directory of {root} is not known: set LIE_VAE_CACHE to another directory") from None


def prepare(name: str, spec: DatasetSpec, data_path: str | Path | None, options: dict, progress: bool) -> list[Path]:
    """Make all files available. Returns the paths to give to `spec.load`.

    Raises: UserError as `locate`, or if a file is missing and cannot be downloaded.
    """
    paths = locate(name, spec, data_path, options)
    if data_path is None:
        assert spec.replica, "see locate"
        _draw(spec.replica, paths[0], progress)
    for file, path in zip(spec.files_for(**options), paths, strict=False):  # user data have a path and no file
        if not path.exists():
            from datasets.fetch import fetch  # slow to import

            fetch(file, path.parent, progress=progress)
    return paths


def locate(name: str, spec: DatasetSpec, data_path: str | Path | None, options: dict) -> list[Path]:
    """The path of every file of the data set, there or still to be downloaded; of the replica; or of the user's data.

    Quick, reads only the start of files. Raises UserError if the data set cannot be loaded from `data_path`.
    """
    files = spec.files_for(**options)
    if data_path is None:
        return [_replica_path(name, spec)]
    data_path = Path(data_path)
    _check_is_there(data_path, missing_ok=bool(files))
    if not files:
        spec.check(data_path)
        return [data_path]
    paths = _official_paths(name, spec, data_path, files)
    for file, path in zip(files, paths, strict=True):
        _check_file(data_path, file, path)
    return paths


def _official_paths(name: str, spec: DatasetSpec, data_path: Path, files: tuple[DataFile, ...]) -> list[Path]:
    """The path of every official file, or of what it unpacks to, for `--data-path`, a file or its directory.

    Raises UserError if `data_path` is a file of another name. A data set's only file may have any name.
    """
    names, unpacked = {file.name for file in files}, {file.unpacked for file in files} - {""}
    if data_path.name not in names | unpacked:
        suffixes = {Path(name).suffix for name in names} - {""}
        if not data_path.exists() and data_path.suffix in suffixes:
            raise UserError(f"--data-path {data_path}: there is no such file; name {files[0].name} or its directory")
        if data_path.is_file() and spec.files == files and len(files) == 1:
            return [data_path]
        if data_path.is_file():
            raise UserError(f"--data-path {data_path} is no file of {name}; name {files[0].name} or its directory")
    holds_files = any((data_path / name).exists() for name in names | unpacked)
    is_unpacked = data_path.name in unpacked and data_path.is_dir() and not holds_files
    in_parent = data_path.is_file() or data_path.name in names or is_unpacked
    directory = data_path.parent if in_parent else data_path
    return [_packed_or_not(directory, file) for file in files]


def _packed_or_not(directory: Path, file: DataFile) -> Path:
    packed, unpacked = directory / file.name, directory / file.unpacked
    return unpacked if file.unpacked and unpacked.exists() and not packed.exists() else packed


def _check_is_there(path: Path, missing_ok: bool) -> None:
    """Raises UserError for a broken link, a path without permission, and a missing path unless `missing_ok`."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        if path.is_symlink():
            raise UserError(
                f"--data-path {path} is a link to {path.readlink()}, which is not there: name another path"
            ) from None
        if not missing_ok:
            raise UserError(f"--data-path {path} does not exist: name another path") from None
    except OSError as error:
        raise UserError(f"--data-path {path} cannot be read ({error.strerror}): check its permissions") from None


def first_bytes(path: Path, count: int) -> bytes:
    """The first bytes of the file `--data-path`. Raises UserError if it cannot be read."""
    try:
        with path.open("rb") as handle:
            return handle.read(count)
    except OSError as error:
        raise UserError(f"--data-path {path} cannot be read ({error.strerror}): check its permissions") from None


def _check_file(data_path: Path, file: DataFile, path: Path) -> None:
    """Raises UserError unless the file lies at the path, by its first bytes, or can be downloaded there."""
    _check_is_there(path, missing_ok=True)
    if path.is_file():
        start = first_bytes(path, len(file.magic))
        if start != file.magic and path.name != file.unpacked:
            kind = Path(file.name).suffix or "data"
            raise UserError(
                f"--data-path {path}: expected a {kind} file, found one that starts with {start!r}: {FETCH_AGAIN}"
            )
    elif path.exists():
        if not path.is_dir() or path.name != file.unpacked:
            raise UserError(f"--data-path {path} is not a file: name {file.name} or its directory")
    elif not file.url:
        raise UserError(file.by_hand(path.parent))
    elif not can_be_written(path.parent):
        raise UserError(
            f"--data-path {data_path}: there is no {file.name}, and {path.parent} cannot be written to fetch it into: "
            "name another directory"
        )


def _replica_path(name: str, spec: DatasetSpec) -> Path:
    """The path of the replica, there or to be drawn. Raises UserError if there is none, or no place for it."""
    files = spec.files_for()
    if spec.replica is None:
        wanted = spec.wanted or f"name {' and '.join(file.name for file in files)} or the directory"
        raise UserError(f"--data-path is needed for --dataset {name}: {wanted}")
    path = cache_directory(spec.replica.name) / files[0].name
    if not path.exists() and not can_be_written(path.parent):
        raise UserError(
            f"the replica of {name} cannot be drawn into {path.parent}, which cannot be written: set LIE_VAE_CACHE to "
            "a directory that can, or give --data-path"
        )
    return path


def _draw(replica: Replica, path: Path, progress: bool) -> None:
    """Draw the replica into the cache directory, unless it is there; prints a line on stderr."""
    if not _is_drawn(path, replica.version):
        with making(path, "set LIE_VAE_CACHE to a directory that can be written, or give --data-path"):
            if not _is_drawn(path, replica.version):
                print(
                    f"no --data-path given: drawing the replica of {replica.name} into {path.parent}", file=sys.stderr
                )
                resolve_name(replica.render)(path.parent, progress)
                write_text(_version_file(path), f"{replica.version}\n")
                return
    print(f"no --data-path given: using the replica of {replica.name} in {path.parent}", file=sys.stderr)


def _version_file(path: Path) -> Path:
    return path.with_name(path.name + ".version")


def _is_drawn(path: Path, version: int) -> bool:
    """Whether a replica of this version exists. A file without a version file was put there by hand, and is used."""
    noted = _version_file(path)
    return path.exists() and (not noted.exists() or noted.read_text().strip() == str(version))
