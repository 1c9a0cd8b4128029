"""Finds the files of a data set: in `--data-path`, downloaded if missing, or as a replica in the cache."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from pkgutil import resolve_name

from datasets.spec import DataFile, DatasetSpec, Replica
from system.errors import UserError
from system.files import can_be_written, making, write_text


def files_of(spec: DatasetSpec, **options) -> tuple[DataFile, ...]:
    """The official files that are needed with these options; empty for user data."""
    return spec.files if isinstance(spec.files, tuple) else spec.files(**options)


def cache_directory(name: str) -> Path:
    """Folder of replicas and conversions of the data set, in `$LIE_VAE_CACHE` or else `~/.cache/lie-group-vae`.

    Raises UserError if the home directory that this refers to is unknown.
    """
    root = os.environ.get("LIE_VAE_CACHE") or "~/.cache/lie-group-vae"
    try:
        return Path(root).expanduser() / name
    except RuntimeError:
        raise UserError(f"the home directory of {root} is not known: set LIE_VAE_CACHE to another directory") from None


def prepare(
    name: str, spec: DatasetSpec, data_path: Path | None, options: dict, progress: bool, download: bool
) -> Path:
    """Make all files available. Returns the path to give to `spec.load`: the file, or the directory of several.

    Raises: UserError as `locate`, or if a file is missing and cannot be downloaded.
    """
    paths = locate(name, spec, data_path, options)
    if data_path is None:
        assert spec.replica, "see locate"
        _draw(spec.replica, paths[0], progress)
        return paths[0]
    for file, path in zip(files_of(spec, **options), paths, strict=False):  # user data have a path and no file
        if not path.exists() and not download:
            command = _fetch_command(name, path)
            raise UserError(f"--data-path {data_path}: there is no {path.name}; fetch it with {command}")
        if not path.exists():
            from datasets.fetch import fetch  # slow to import

            fetch(file, path.parent, progress=progress)
    return paths[0].parent if _has_several_files(spec) else paths[0]


def locate(name: str, spec: DatasetSpec, data_path: Path | None, options: dict) -> list[Path]:
    """The path of every file of the data set, there or still to be downloaded; of the replica; or of the user's data.

    Quick, reads only the start of files. Raises UserError if the data set cannot be loaded from `data_path`.
    """
    files = files_of(spec, **options)
    if data_path is None:
        return [_replica_path(name, spec, files)]
    _check_is_there(data_path, missing_ok=bool(files))
    if not files:
        spec.check(data_path)
        return [data_path]
    return _official_paths(name, data_path, files, only_file=not _has_several_files(spec))


def _official_paths(name: str, data_path: Path, files: Sequence[DataFile], only_file: bool) -> list[Path]:
    """The path of every official file. Raises UserError if one is neither there nor can be downloaded."""
    if data_path.name not in {name for file in files for name in (file.name, file.unpacked)}:
        suffixes = {Path(file.name).suffix for file in files} - {""}
        if not data_path.exists() and data_path.suffix in suffixes:
            raise UserError(f"--data-path {data_path}: there is no such file; name {files[0].name} or its directory")
        if data_path.is_file() and not only_file:
            raise UserError(f"--data-path {data_path} is no file of {name}; name {files[0].name} or its directory")
    paths = [path_of(data_path, file, only_file) for file in files]
    for file, path in zip(files, paths, strict=True):
        _check_file(name, data_path, file, path)
    return paths


def _has_several_files(spec: DatasetSpec) -> bool:
    """Whether `spec.load` takes the directory of its files. User data and a replica are one path."""
    return not isinstance(spec.files, tuple) or len(spec.files) > 1


def path_of(data_path: Path, file: DataFile, only_file: bool = False) -> Path:
    """The path of an official file, or of what it unpacks to, for `--data-path`, a file or its directory.

    only_file: the data set has only this file, so that `data_path` may have another name.
    """
    if data_path.name == file.name or (only_file and data_path.is_file()):
        return data_path
    directory = data_path.parent if data_path.is_file() else data_path
    if file.unpacked and not (directory / file.name).exists() and (directory / file.unpacked).exists():
        return directory / file.unpacked
    return directory / file.name


def _check_is_there(path: Path, missing_ok: bool = False) -> None:
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


def _fetch_command(name: str, path: Path) -> str:
    """The command that downloads the files of the data set into the directory of `path`."""
    return f"`python -m datasets.download {name} {shlex.quote(str(path.parent))}`"


def _check_file(name: str, data_path: Path, file: DataFile, path: Path) -> None:
    """Raises UserError unless the file lies at the path, by its first bytes, or can be downloaded there."""
    _check_is_there(path, missing_ok=True)
    if path.exists() and not path.is_file() and not (path.is_dir() and path.name == file.unpacked):
        raise UserError(f"--data-path {path} is not a file: name {file.name} or its directory")
    if path.is_file():
        try:
            with path.open("rb") as handle:
                start = handle.read(len(file.magic))
        except OSError as error:
            raise UserError(f"--data-path {path} cannot be read ({error.strerror}): check its permissions") from None
        if start != file.magic and path.name != file.unpacked:
            again = f" and fetch it with {_fetch_command(name, path)}" if file.url else f" and get it from {file.page}"
            raise UserError(
                f"--data-path {path}: expected a {Path(file.name).suffix or 'data'} file, found one that starts with "
                f"{start!r}: name another path, or move this file away{again}"
            )
    elif not path.exists() and not file.url:
        from datasets.fetch import manual_download_error

        raise manual_download_error(file, path.parent)
    elif not path.exists() and not can_be_written(path.parent):
        raise UserError(
            f"--data-path {data_path}: there is no {file.name}, and {path.parent} cannot be written to fetch it into: "
            "name another directory"
        )


def _replica_path(name: str, spec: DatasetSpec, files: Sequence[DataFile]) -> Path:
    """The path of the replica, there or to be drawn. Raises UserError if there is none, or no place for it."""
    if spec.replica is None:
        names = " and ".join(file.name for file in files)
        wanted = f"name {names} or the directory" if names else spec.wanted
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
