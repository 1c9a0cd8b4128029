"""One way to write a file (a temporary name beside it, flushed to the disk, then renamed over the old one), to read
JSON, and to lock."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from system.errors import UserError


@contextlib.contextmanager
def replacing(
    path: str | os.PathLike, temporary: Path | None = None, keep: str | os.PathLike | None = None
) -> Iterator[Path]:
    """Yield a temporary path in the same folder; on success it takes the place of `path`, on failure it is removed.

    Args:
        temporary: its name, the same every time, so that a large file that a killed process left is written over. Two
            processes may then not write at once. None: a name of this process's own.
        keep: what stood at `path` takes this name, at the last moment: a process that is killed at any time leaves a
            whole file under one of the two names.

    Raises:
        UserError: the folder cannot be written or the disk is full; the file that was there is untouched.
    """
    path = Path(path)
    temporary = temporary or path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield temporary
        flush_to_disk(temporary)
        if keep is not None and path.exists():
            os.replace(path, keep)
        os.replace(temporary, path)
        flush_to_disk(path.parent)
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror or error}; free some space or choose another folder"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def flush_to_disk(path: str | os.PathLike) -> None:
    """Wait until the file, or the names in the folder, are on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_partial(folder: str | os.PathLike) -> None:
    """Remove what processes that were killed while they wrote left in the folder."""
    for path in Path(folder).glob(".*.partial"):
        path.unlink(missing_ok=True)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Replace the file `path` by `text`, in UTF-8. Raises UserError as `replacing` does."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")  # a path may be no Unicode


def writable_folder(path: str | os.PathLike, flag: str) -> None:
    """Make the folder that the file `path` is to lie in, where it is missing: asked before the work.

    Raises UserError, naming the flag, where a file cannot be written there.
    """
    folder = Path(path).absolute().parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{flag} {path}: cannot make the folder {folder} ({error.strerror}); name another") from error
    if not os.access(folder, os.W_OK):
        raise UserError(f"{flag} {path}: the folder {folder} cannot be written; name another")
    if os.path.isdir(path):
        raise UserError(f"{flag} {path} is a folder: name a file")


def read_json(path: str | os.PathLike) -> dict:
    """The JSON object in a file. Raises UserError where it cannot be read or is none."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); fix its permissions or restore it") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is no valid JSON ({str(error)[:120]}); restore it or train again") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} does not hold what a run writes there; restore it or train again")
    return content


def lock(path: str | os.PathLike, wait: bool = False) -> Callable[[], None] | None:
    """Take the lock of the file `path`, which is made and stays. The kernel frees it when this process dies.

    Where the file system has no locks, a line on stderr says so, and the lock counts as taken.

    Returns:
        What frees it; None where another process has it and `wait` is false.
    Raises:
        OSError: the file cannot be written.
    """
    import filelock  # only where something is locked

    held = filelock.FileLock(path, thread_local=False, fallback_to_soft=False)
    try:
        held.acquire(blocking=wait)
    except filelock.Timeout:
        return None
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
        print(f"warning: {path} lies on a disk without file locks: start one process at a time there", file=sys.stderr)
    return held.release


@contextlib.contextmanager
def locked(path: Path, waiting: str, remedy: str) -> Iterator[None]:
    """Hold the lock of the file `path` for the body. `waiting` is said on stderr where another process has it.

    Raises UserError, ending in `remedy`, where the file cannot be written.
    """
    try:
        release = lock(path)
        if release is None:
            print(waiting, file=sys.stderr, flush=True)
            release = lock(path, wait=True)
    except OSError as error:
        raise UserError(f"cannot write in {path.parent} ({error.strerror}): {remedy}") from None
    try:
        yield
    finally:
        if release is not None:
            release()
