"""Finds the files of a data set in `--data-path`, and downloads what is missing: progress, resume, retry, checksum."""

from __future__ import annotations

import hashlib
import http.client
import os
import sys
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tqdm import tqdm

from datasets.spec import DataFile, DatasetSpec
from system.errors import DISK_FULL, UserError
from system.files import can_be_written, flush_to_disk, making, partial_path

TRIES = 5  # to receive more of a file, in a row
TIMEOUT = 30.0  # seconds without data


def locate(name: str, spec: DatasetSpec, data_path: str | Path | None) -> list[Path | None]:
    """The path of every file of the data set, there or still to be downloaded; of the user's data; None: the replica.

    Quick, reads no file. Raises UserError if the data set cannot be loaded from `data_path`.
    """
    if data_path is None:
        if spec.replica:
            return [None]
        wanted = spec.wanted or f"name {' and '.join(file.name for file in spec.files)} or the directory"
        raise UserError(f"--data-path is needed for --dataset {name}: {wanted}")
    data_path = Path(data_path)
    _check_is_there(data_path, missing_ok=bool(spec.files))
    if not spec.files:
        spec.check(data_path)
        return [data_path]
    paths = _official_paths(name, spec, data_path)
    for file, path in zip(spec.files, paths, strict=True):
        _check_file(data_path, file, path)
    return list(paths)


def _official_paths(name: str, spec: DatasetSpec, data_path: Path) -> list[Path]:
    """The path of every official file, or of what it unpacks to, for `--data-path`, a file or its directory.

    Raises UserError if `data_path` is a file of another name. A data set's only file may have any name.
    """
    files = spec.files
    names = {file.name for file in files} | {file.unpacked for file in files if file.unpacked}
    if data_path.name not in names:
        if data_path.is_file() and len(files) == 1:
            return [data_path]
        if data_path.is_file():
            raise UserError(f"--data-path {data_path} is no file of {name}; name {files[0].name} or its directory")
        if not data_path.exists() and data_path.suffix in {Path(file.name).suffix for file in files} - {""}:
            raise UserError(f"--data-path {data_path}: there is no such file; name {files[0].name} or its directory")
    named = data_path.name in names and not any((data_path / name).exists() for name in names)
    directory = data_path.parent if named or data_path.is_file() else data_path
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
    """Raises UserError unless the file lies at the path and can be read, or can be downloaded there."""
    _check_is_there(path, missing_ok=True)
    if path.is_file():
        first_bytes(path, 1)
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


def fetch(file: DataFile, directory: str | Path, *, progress: bool = True, wait: float = 1.0) -> Path:
    """Download the official file into `directory`, unless it is there already.

    Data is written to `<name>.partial`, from which an interrupted download resumes, and renamed after the checksum is
    verified. If several processes ask for the file, one downloads it and the others wait.

    Args:
        wait: seconds before the second try; doubled for each further one.

    Returns: the path of the file.
    Raises: UserError if it cannot be downloaded, or the checksum differs: it is then kept as `<name>.unverified`.
    """
    target = Path(directory) / file.name
    if not file.url:
        raise UserError(file.by_hand(target.parent))
    with making(target, "name a directory that can be written"):
        if target.exists():
            return target
        partial, failures = partial_path(target), 0
        print(f"fetching {file.url} into {target.parent}", file=sys.stderr)
        while reason := _receive(file.url, partial, progress):
            told, grown = reason
            failures = 1 if grown else failures + 1
            if failures == TRIES:
                raise UserError(
                    f"{file.url} cannot be fetched ({told}): check the network, the proxy and the address, then repeat "
                    f"(what was received is kept), or put {file.name} into {target.parent} yourself"
                )
            time.sleep(wait * 2 ** (failures - 1))
        if not is_accepted(file, partial):
            kept = target.with_name(f"{target.name}.unverified")
            os.replace(partial, kept)
            raise UserError(
                f"{file.url} did not give the official {file.name} ({file.checksum}) but what is now in {kept}: look "
                f"into it, repeat, or put the file into {target.parent} yourself"
            )
        flush_to_disk(partial)
        os.replace(partial, target)
    return target


def _receive(url: str, partial: Path, progress: bool) -> tuple[str, bool] | None:
    """Download over one connection what the partial file lacks. None: it is complete; else why not, and if it grew."""
    start = offset = partial.stat().st_size if partial.exists() else 0
    headers = {"User-Agent": "lie-group-vae", "Accept-Encoding": "identity"}
    headers |= {"Range": f"bytes={offset}-"} if offset else {}
    try:
        with urlopen(Request(url, headers=headers), timeout=TIMEOUT) as response:
            if response.status != 206:  # the server sends all of it
                offset = 0
            length = response.headers.get("Content-Length", "")
            total = offset + int(length) if length.isdecimal() else None
            with (
                partial.open("ab" if offset else "wb") as handle,
                tqdm(
                    total=total, initial=offset, desc=partial.stem, unit="B", unit_scale=True, disable=not progress
                ) as bar,
            ):
                while block := response.read1(2**16):
                    handle.write(block)
                    handle.flush()  # a killed process leaves what it has received
                    offset += len(block)
                    bar.update(len(block))
        if total is not None and offset != total:
            return f"the connection ended after {offset} of {total} bytes", offset > start
        return None
    except HTTPError as error:
        with error:
            if error.code == 416 and error.headers.get("Content-Range", "").endswith(f"/{start}"):
                return None  # there is no more of it
            if error.code == 416:
                partial.unlink()  # longer than the file: it was of another one
            return f"HTTP {error.code} {' '.join(str(error.reason).split())}", False
    except (OSError, http.client.HTTPException, ValueError) as error:
        if getattr(error, "errno", None) in DISK_FULL or getattr(error, "filename", None):
            raise  # of this disk
        size = partial.stat().st_size if partial.exists() else 0
        return str(getattr(error, "reason", error)) or type(error).__name__, size > start


def checksum(path: Path, kind: str) -> str:
    """The checksum of a file in hexadecimal; kind is `md5`, `sha256` or `git-blob`."""
    start = b"blob %d\0" % path.stat().st_size if kind == "git-blob" else b""
    algorithm = "sha1" if kind == "git-blob" else kind
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, lambda: hashlib.new(algorithm, start, usedforsecurity=False)).hexdigest()


def is_official(file: DataFile, path: Path) -> bool:
    """Whether the file at `path` has the official checksum, which must be known."""
    kind, _, expected = file.checksum.partition(":")
    return checksum(path, kind) == expected


def is_accepted(file: DataFile, path: Path) -> bool:
    """Whether the file at `path` is official, or no checksum is known, as stderr then says."""
    if not file.checksum:
        found = checksum(path, "sha256")
        print(f"{file.name} is unverified: no official checksum is known; received sha256:{found}", file=sys.stderr)
        return True
    official = is_official(file, path)
    if not official and file.earlier:
        told = f"{file.name} differs from {file.checksum}, which was published for an earlier address of it"
        print(f"warning: {told}", file=sys.stderr)
    return official or file.earlier
