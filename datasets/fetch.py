"""Downloads an official file: shows progress, resumes, retries, verifies the checksum."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import ssl
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from tqdm import tqdm

from datasets.spec import DataFile
from system.errors import DISK_FULL, UserError
from system.files import flush_to_disk, free_bytes, making, partial_path

_TRANSIENT = {408, 425, 429, 500, 502, 503, 504}  # HTTP errors worth a retry
_SPARE = 2**24  # bytes to leave free on the disk


@dataclass(frozen=True)
class RetryPolicy:
    """When a download is tried again.

    tries: failures in a row, without new bytes, before giving up; two if the server never answered.
    first_wait: seconds before the first retry; doubled for each further one, up to a minute.
    timeout: seconds without data after which a connection is considered lost.
    """

    tries: int = 6
    first_wait: float = 1.0
    timeout: float = 30.0


def fetch(file: DataFile, directory: str | Path, *, progress: bool = True, retry: RetryPolicy = RetryPolicy()) -> Path:
    """Download the official file into `directory`, unless it is there already.

    Data is written to `<name>.partial`, from which an interrupted download resumes, and renamed after the checksum is
    verified. If several processes ask for the file, one downloads it and the others wait.

    Returns: the path of the file.
    Raises: UserError if it cannot be downloaded, or the checksum differs.
    """
    target = Path(directory) / file.name
    if target.is_dir() or (target.is_symlink() and not target.exists()):
        what = "a folder" if target.is_dir() else f"a link to {target.readlink()}, which is not there"
        raise UserError(f"{target} is {what}: move it away, or name another directory")
    if not file.url:
        raise UserError(file.by_hand(target.parent))
    with making(target, "name a directory that can be written"):
        if not target.exists():
            print(f"fetching {file.url} into {target.parent}", file=sys.stderr)
            _fetch(file, target, progress, retry)
    return target


def is_official(file: DataFile, path: Path) -> bool:
    """Whether the file at `path` has the official checksum, which must be known."""
    kind, _, expected = file.checksum.partition(":")
    return checksum(path, kind) == expected


def checksum(path: Path, kind: str) -> str:
    """The checksum of a file in hexadecimal; kind is `md5`, `sha256` or `git-blob`."""
    start = b"blob %d\0" % path.stat().st_size if kind == "git-blob" else b""
    algorithm = "sha1" if kind == "git-blob" else kind
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, lambda: hashlib.new(algorithm, start, usedforsecurity=False)).hexdigest()


def is_accepted(file: DataFile, path: Path) -> bool:
    """Whether the file at `path` is official, or no checksum is known, as stderr then says."""
    if file.checksum:
        official = is_official(file, path)
        if not official and file.earlier:
            print(
                f"warning: {file.name} differs from {file.checksum}, which was published for an earlier address of it",
                file=sys.stderr,
            )
        return official or file.earlier
    found = checksum(path, "sha256")
    print(f"{file.name} is unverified: no official checksum is known; received sha256:{found}", file=sys.stderr)
    return True


def _fetch(file: DataFile, target: Path, progress: bool, retry: RetryPolicy) -> None:
    partial = partial_path(target)
    resumed = partial.exists()
    _Transfer(file, partial, retry).run(progress)
    if resumed and file.checksum and not file.earlier and not is_official(file, partial):
        # The partial file of an earlier run may have been the start of another file.
        partial.unlink()
        _Transfer(file, partial, retry).run(progress)
    if not is_accepted(file, partial):
        size, kept = partial.stat().st_size, target.with_name(f"{target.name}.unverified")
        os.replace(partial, kept)
        raise UserError(
            f"{file.url} gave {size} bytes that are not the official {file.name} (expected {file.checksum}); they are "
            f"kept in {kept}: repeat, or fetch it another way and put it into {target.parent}"
        )
    flush_to_disk(partial)
    os.replace(partial, target)


class _Interrupted(Exception):
    """A failure that is worth a retry."""


class _Transfer:
    """Download of one file into `partial`, over one or more connections."""

    def __init__(self, file: DataFile, partial: Path, retry: RetryPolicy):
        self.file, self.partial, self.url, self.retry = file, partial, file.url, retry
        self.answered = False  # whether the server has answered at all
        self.version: str | None = None  # ETag of the server: only the same version can be resumed

    def run(self, progress: bool) -> None:
        """Download until the file is complete. Raises UserError."""
        failures, furthest = 0, self._size()
        with tqdm(desc=self.file.name, unit="B", unit_scale=True, disable=not progress) as bar:
            while True:
                try:
                    return self._receive(bar)
                except _Interrupted as error:
                    failures = 1 if self._size() > furthest else failures + 1
                    furthest = max(furthest, self._size())
                    if failures >= (self.retry.tries if self.answered else 2):
                        raise UserError(self._failure_message(error)) from None
                time.sleep(min(self.retry.first_wait * 2 ** (failures - 1), 60))

    def _failure_message(self, error: Exception) -> str:
        remedy = f"check the network and HTTPS_PROXY, or fetch it elsewhere and put it into {self.partial.parent}"
        if self._size():
            remedy = f"repeat the command, which continues after the {self._size()} bytes received so far"
        return f"{self.url} cannot be fetched ({error}): {remedy}"

    def _size(self) -> int:
        return self.partial.stat().st_size if self.partial.exists() else 0

    def _receive(self, bar: tqdm) -> None:
        """Download over one connection: the rest of the file, or all of it if the server cannot resume."""
        offset = self._size()
        headers = {"User-Agent": "lie-group-vae", "Accept-Encoding": "identity"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
            headers |= {"If-Range": self.version} if self.version else {}
        try:
            with urlopen(Request(self.url, headers=headers), timeout=self.retry.timeout) as response:
                self._store(response, offset, bar)
        except HTTPError as error:
            self.answered = True
            with error:
                if error.code == 416 and error.headers.get("Content-Range") == f"bytes */{offset}":
                    return  # the file is complete
            if error.code == 416:
                self._start_over("the server's file is smaller than the partial file")
            if error.code in _TRANSIENT:
                raise _Interrupted(f"HTTP {error.code} {error.reason}") from None
            remedy = (
                "see whether the publisher moved it, and name the new address with python -m datasets.download --url"
            )
            said = " ".join(str(error.reason).split())  # three lines for a loop of redirections
            raise UserError(f"{self.url} answers HTTP {error.code} {said}: {remedy}") from None
        except http.client.HTTPException as error:
            raise _Interrupted(str(error) or type(error).__name__) from None
        except OSError as error:
            reason = error.reason if isinstance(error, URLError) else error
            if isinstance(reason, ssl.SSLCertVerificationError):
                remedy = "if a proxy replaces certificates, name its authority's file in SSL_CERT_FILE"
                raise UserError(f"{self.url} has no valid certificate ({reason.verify_message}): {remedy}") from None
            if error.errno in DISK_FULL:
                raise UserError(self._no_room("the rest")) from None
            if error.filename:  # that of the partial file: it cannot be opened
                where = f"{error.filename} cannot be written ({error.strerror})"
                raise UserError(f"{where}: move it away, and repeat") from None
            raise _Interrupted(str(reason) or type(reason).__name__) from None
        except ValueError as error:
            raise UserError(f"{self.url} is no address to fetch from ({error}): name another with --url") from None

    def _start_over(self, why: str) -> None:
        self.partial.unlink(missing_ok=True)
        self.version = None
        raise _Interrupted(why)

    def _store(self, response: http.client.HTTPResponse, offset: int, bar: tqdm) -> None:
        self.answered = True
        length = response.headers.get("Content-Length")
        if response.status == 206:
            described = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
            if not described or int(described[1]) != offset:
                self._start_over("the server did not send the part that was asked for")
        else:
            offset = 0
        total = offset + int(length) if length and length.isdecimal() else None
        block = response.read1(2**16)
        self._check_start(response, block if offset == 0 else b"")
        if total is not None and free_bytes(self.partial.parent) < total - offset + _SPARE:
            raise UserError(self._no_room(f"{(total - offset) / 1e6:.1f} MB"))
        etag = response.headers.get("ETag", "")
        self.version = etag if etag.startswith('"') else None  # weak ETags (W/) do not allow resuming
        bar.total, bar.n = total, offset
        bar.refresh()
        with self.partial.open("ab" if offset else "wb") as handle:
            while block:
                handle.write(block)
                handle.flush()  # a killed process leaves what it has received
                offset += len(block)
                bar.update(len(block))
                block = response.read1(2**16)
        if total is not None and offset != total:
            raise _Interrupted(f"the connection ended after {offset} of {total} bytes")

    def _no_room(self, what: str) -> str:
        return f"no room for {what} of {self.url} on the disk of {self.partial.parent}: free some space, then repeat"

    def _check_start(self, response: http.client.HTTPResponse, start: bytes) -> None:
        """Raises UserError if the response is an HTML page, as sent by proxies that ask for a password."""
        page = response.headers.get_content_type() == "text/html" or start.lstrip()[:1] == b"<"
        if page and not (self.file.magic and start.startswith(self.file.magic)):
            raise UserError(
                f"{self.url} gave an HTML page in place of {self.file.name}: perhaps from a proxy or a sign-in page; "
                f"open the address in a browser, or fetch the file elsewhere and put it into {self.partial.parent}"
            )
