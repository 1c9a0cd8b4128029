"""Files: folders, atomic writes (to a temporary file, flushed to the disk, then renamed), damage, locks, tensors."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import pickle
import re
import shutil
import struct
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from system.errors import UserError, first_line

if TYPE_CHECKING:
    import torch

# Exceptions of zipfile, tarfile and h5py for damaged or encrypted files.
_DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, struct.error, EOFError, RuntimeError, KeyError)


@contextlib.contextmanager
def replacing(
    path: str | os.PathLike, temporary: Path | None = None, keep: str | os.PathLike | None = None
) -> Iterator[Path]:
    """Yield a temporary path in the same folder; on success it replaces `path`, on failure it is removed.

    Args:
        temporary: a fixed temporary path, so that a large file left by a killed process is overwritten; then only one
            process may write at a time. None: a path with the number of this process.
        keep: the old file is renamed to this, immediately before it is replaced: a process that is killed at any time
            leaves a complete file under one of the two names.
    Raises:
        UserError: the folder cannot be written or the disk is full; the old file is unchanged.
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


def partial_path(path: Path) -> Path:
    """The fixed temporary path of a large file that one process at a time makes, see `making`."""
    return path.with_name(path.name + ".partial")


def flush_to_disk(path: str | os.PathLike) -> None:
    """Wait until the file or folder is written to the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_partial(folder: str | os.PathLike) -> None:
    """Remove the temporary files that killed processes left in the folder."""
    for path in Path(folder).glob(".*.partial"):
        path.unlink(missing_ok=True)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write `text` to the file, in UTF-8: atomically, but to a device or pipe as it is. Raises UserError."""
    if is_special(path):
        try:
            Path(path).write_text(text, encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror}; choose another file") from error
        return
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")  # paths may be invalid Unicode


def is_special(path: str | os.PathLike) -> bool:
    """Whether the path is a device, a pipe or the like, such as /dev/stdout, which nothing may replace."""
    path = Path(path).absolute()
    of_system = path.parent in (Path("/dev"), Path("/dev/fd"))  # /dev/stdout is a link to what may be a file
    return of_system or (path.exists() and not path.is_file() and not path.is_dir())


def make_directory(directory: Path, remedy: str) -> Path:
    """Create the directory and its parents. Raises UserError, ending in `remedy`, if that fails."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the directory {directory} ({error.strerror}): {remedy}") from None
    return directory


def can_be_written(directory: Path) -> bool:
    """Whether files can be created in the directory or, if it does not exist, the directory itself."""
    directory = _existing(directory)
    effective = os.access in os.supports_effective_ids
    return directory.is_dir() and os.access(directory, os.W_OK | os.X_OK, effective_ids=effective)


def free_bytes(directory: Path) -> int:
    """Free bytes on the disk of the directory, which may not exist yet."""
    return shutil.disk_usage(_existing(directory)).free


def _existing(directory: Path) -> Path:
    """The directory, or the nearest one above it that exists."""
    while not directory.exists() and directory != directory.parent:
        directory = directory.parent
    return directory


def writable_folder(path: str | os.PathLike, flag: str, *used: str | os.PathLike) -> None:
    """Make the folder of the file `path` if it is missing; called before the work.

    used: files that the command reads, or writes otherwise.
    Raises UserError, naming the flag, if a file cannot be written there, is one of `used`, or is part of a run.
    """
    if is_special(path):
        return
    path, folder = Path(path), Path(path).absolute().parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{flag} {path}: cannot make the folder {folder} ({error.strerror}); name another") from error
    arguments = ("args.json", "args.pt", "checkpoints/args.pt")  # those of the authors' runs, too
    of_run = any((parent / name).is_file() for parent in (folder, folder.parent) for name in arguments)
    for refused, reason in (
        (not os.access(folder, os.W_OK), f": the folder {folder} cannot be written"),
        (path.is_dir(), " is a folder: name a file"),
        (
            of_run and path.exists() and not path.name.endswith(("report.html", ".scores.json")),
            " is a file of a run, which would be replaced",
        ),
        (
            any(path.resolve() == Path(other).resolve() for other in used),
            " is a file that this command reads or writes otherwise",
        ),
    ):
        if refused:
            raise UserError(f"{flag} {path}{reason}: name another")


def read_json(path: str | os.PathLike) -> dict:
    """The JSON object in a file. Raises UserError if it cannot be read or is not a JSON object."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); fix its permissions or restore it") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is no valid JSON ({str(error)[:120]}); restore it or train again") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} does not hold what a run writes there; restore it or train again")
    return content


@contextlib.contextmanager
def damage_as_user_error(path: Path, kind: str, remedy: str, also: tuple = ()) -> Iterator[None]:
    """Convert errors of the body that mean a damaged or unreadable file into UserError.

    Args:
        kind: what the file should be, for the message.
        remedy: end of the message.
        also: further exception types that mean a damaged file.
    """
    try:
        yield
    except (OSError, *_DAMAGE, *also) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise UserError(f"{path} cannot be read ({error.strerror}): check its permissions and the disk") from None
        reason = first_line(error).rstrip(":")  # of a tar archive it is a list of what was tried
        raise UserError(
            f"{path}: expected a whole {kind}, found a truncated or damaged one ({reason}): {remedy}"
        ) from None


def lock(path: str | os.PathLike, wait: bool = False, **settings) -> Callable[[], None] | None:
    """Lock the file `path`, which is made if missing. The kernel releases the lock when this process dies.

    If the file system has no locks, prints a warning to stderr, and returns as if the file were locked.

    Args:
        settings: of filelock.FileLock, such as the `mode` of a new file.
    Returns:
        A function that releases the lock; None if another process holds it and `wait` is false.
    Raises:
        OSError: the file cannot be written.
    """
    import filelock  # only for commands that lock

    held = filelock.FileLock(path, thread_local=False, fallback_to_soft=False, **settings)
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
    """Hold the lock of the file `path` for the body. Prints `waiting` to stderr if another process holds it.

    Everybody who can write in the folder shares the lock, whatever the umask.
    Raises UserError, ending in `remedy`, if the file cannot be written.
    """
    try:
        release = lock(path, mode=0o666)
        if release is None:
            print(waiting, file=sys.stderr, flush=True)
            release = lock(path, wait=True, mode=0o666)
    except OSError as error:
        raise UserError(f"cannot write {path} ({error.strerror}): {remedy}") from None
    try:
        yield
    finally:
        if release:
            release()


@contextlib.contextmanager
def making(path: Path, remedy: str) -> Iterator[None]:
    """Hold the lock `<path>.lock` while the body makes the file `path`, and its folder: other processes wait.

    Raises UserError, ending in `remedy`, if the folder cannot be made or written.
    """
    held = make_directory(path.parent, remedy) / f"{path.name}.lock"
    with locked(held, f"waiting for another process that is making {path}", remedy):
        try:
            yield
        finally:
            held.unlink(missing_ok=True)


def write_tensors(content, path: Path, keep: Path | None = None, meanwhile: Callable[[], None] | None = None) -> None:
    """torch.save `content` to `path`, atomically. Raises UserError.

    Args:
        keep: as in `replacing`.
        meanwhile: called when all is on the disk, before the file is renamed.
    """
    import torch  # slow

    buffer = io.BytesIO()  # so that a full disk raises OSError, and not an error inside torch.save
    torch.save(content, buffer)
    with replacing(path, keep=keep) as temporary:
        temporary.write_bytes(buffer.getbuffer())
        if meanwhile:
            flush_to_disk(temporary)
            meanwhile()


def load_tensors(path: Path, allowed: tuple = ()):
    """Read a file of tensors and plain data onto the CPU, without executing code in it.

    Also verifies the checksums of torch.save, which torch.load ignores.

    Args:
        allowed: other classes that the file may contain, such as argparse.Namespace.
    Raises:
        UserError: it is missing, damaged, or contains anything else.
    """
    import torch

    again = "restore it or train again"
    try:
        content = Path(path).read_bytes()
        _compare_checksums(content)
        with torch.serialization.safe_globals(list(allowed)):
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist: the run was not trained to its first checkpoint") from error
    except PermissionError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); fix its permissions") from error
    except pickle.UnpicklingError as error:
        named, nothing = re.search(r"GLOBAL (\S+)", str(error)), "and nothing in it was run"
        if named:
            raise UserError(
                f"{path} is refused, {nothing}: it asks for {named[1]}, not only for tensors and plain data; ask its "
                "author for the bare state dict"
            ) from error
        raise UserError(f"{path} is damaged or was not written by torch.save, {nothing}; {again}") from error
    except Exception as error:  # the decoders raise many kinds of errors for damaged files
        raise UserError(f"{path} is damaged ({first_line(error)[:120]}); {again}") from error


def not_finite(weights: dict[str, torch.Tensor]) -> list[str]:
    """Names of the tensors with an entry that is not finite."""
    return [name for name, value in weights.items() if not value.isfinite().all()]


def _compare_checksums(content: bytes) -> None:
    """Raise ValueError or an error of zipfile if a checksum in torch.save's archive is wrong.

    Refuses compressed parts, which could unpack to any size. Files of PyTorch before 1.6 have no checksums.
    """
    if not content.startswith(b"PK\x03\x04"):
        return
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if any(part.compress_type != zipfile.ZIP_STORED for part in archive.infolist()):
            raise ValueError("a compressed archive, which torch.save does not write")
        if (name := archive.testzip()) is not None:
            raise ValueError(f"the checksum of {name} is wrong")
