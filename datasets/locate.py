"""Finds the files of a data set: in `--data-path`, downloaded if missing, or as a replica in the cache."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from pkgutil import resolve_name

from datasets.files import cache_directory, locked, manual_download_error
from datasets.spec import DataFile, DatasetSpec, Replica
from system.errors import UserError
from system.files import can_be_written, make_directory, write_text


def check(name: str, spec: DatasetSpec, data_path: Path | None, options: dict) -> None:
    """Raises UserError if the data set cannot be loaded from the path; quick, reads only the start of files."""
    files = spec.files_for(**options)
    if data_path is None:
        _check_replica(name, spec, files)
        return
    check_is_there(data_path, missing_ok=bool(files))
    if not files:
        spec.check(data_path)
        return
    names = {name for file in files for name in (file.name, file.unpacked)}
    suffixes = {Path(file.name).suffix for file in files} - {""}
    if data_path.name not in names:
        if not data_path.exists() and data_path.suffix in suffixes:
            raise UserError(f"--data-path {data_path}: there is no such file; name {files[0].name} or its directory")
        if data_path.is_file() and not spec.is_one_file:
            raise UserError(f"--data-path {data_path} is no file of {name}; name {files[0].name} or its directory")
    for file in files:
        _check_file(name, data_path, file, spec.is_one_file)


def prepare(
    name: str, spec: DatasetSpec, data_path: Path | None, options: dict, progress: bool, download: bool
) -> Path:
    """Make all files available. Returns the path to give to `spec.load`: the file, or the directory of several.

    Raises: UserError if a file is missing and cannot be downloaded.
    """
    files = spec.files_for(**options)
    if data_path is None:
        assert spec.replica, "see check"
        return _rendered(spec.replica, files[0], progress)
    if not files:
        return data_path
    paths = [path_of(data_path, file, spec.is_one_file) for file in files]
    for file, path in zip(files, paths, strict=True):
        if path.exists():
            continue
        if not download:
            raise UserError(
                f"--data-path {data_path}: there is no {path.name}; fetch it with {fetch_command(name, path)}"
            )
        from datasets.fetch import fetch  # not needed if the files are there

        fetch(file, path.parent, progress=progress)
    return paths[0] if spec.is_one_file else paths[0].parent


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


def check_is_there(path: Path, missing_ok: bool = False) -> None:
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


def fetch_command(name: str, path: Path) -> str:
    """The command that downloads the files of the data set into the directory of `path`."""
    return f"`python -m datasets.download {name} {shlex.quote(str(path.parent))}`"


def _check_file(name: str, data_path: Path, file: DataFile, only_file: bool) -> None:
    path = path_of(data_path, file, only_file)
    check_is_there(path, missing_ok=True)
    if path.is_dir() and path.name != file.unpacked:
        raise UserError(f"--data-path {path} is not a file: name {file.name} or its directory")
    if path.is_file():
        try:
            with path.open("rb") as handle:
                start = handle.read(len(file.magic))
        except OSError as error:
            raise UserError(f"--data-path {path} cannot be read ({error.strerror}): check its permissions") from None
        if start != file.magic and path.name != file.unpacked:
            again = f" and fetch it with {fetch_command(name, path)}" if file.url else f" and get it from {file.page}"
            raise UserError(
                f"--data-path {path}: expected a {Path(file.name).suffix or 'data'} file, found one that starts with "
                f"{start!r}: name another path, or move this file away{again}"
            )
    elif not path.exists() and not file.url:
        raise manual_download_error(file, path.parent)
    elif not path.exists() and not can_be_written(path.parent):
        raise UserError(
            f"--data-path {data_path}: there is no {file.name}, and {path.parent} cannot be written to fetch it into: "
            "name its directory, or leave the flag out to draw the replica"
        )


def _check_replica(name: str, spec: DatasetSpec, files: Sequence[DataFile]) -> None:
    if spec.replica is None:
        wanted = f"name {' and '.join(file.name for file in files)} or the directory" if files else spec.wanted
        raise UserError(f"--data-path is needed for --dataset {name}: {wanted}")
    directory = cache_directory(spec.replica.name)
    if not (directory / files[0].name).exists() and not can_be_written(directory):
        raise UserError(
            f"the replica of {name} cannot be drawn into {directory}, which cannot be written: set LIE_VAE_CACHE to a "
            "directory that can, or give --data-path"
        )


def _rendered(replica: Replica, file: DataFile, progress: bool) -> Path:
    """The file of the replica in the cache directory, rendered if missing; prints a line on stderr."""
    path = cache_directory(replica.name) / file.name
    if not _is_drawn(path, replica.version):
        make_directory(path.parent, "set LIE_VAE_CACHE to a directory that can be written, or give --data-path")
        with locked(path):
            if not _is_drawn(path, replica.version):
                print(
                    f"no --data-path given: drawing the replica of {replica.name} into {path.parent}", file=sys.stderr
                )
                resolve_name(replica.render)(path.parent, progress)
                write_text(_version_file(path), f"{replica.version}\n")
                return path
    print(f"no --data-path given: using the replica of {replica.name} in {path.parent}", file=sys.stderr)
    return path


def _version_file(path: Path) -> Path:
    return path.with_name(path.name + ".version")


def _is_drawn(path: Path, version: int) -> bool:
    """Whether a replica of this version exists. A file without a version file was put there by hand, and is used."""
    noted = _version_file(path)
    return path.exists() and (not noted.exists() or noted.read_text().strip() == str(version))
