"""The exception for problems that the user can fix, and the line that says so."""

from __future__ import annotations

import errno

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)  # of the disk, or of the user's quota


class UserError(Exception):
    """A problem that the user can fix: one line that names the flag or file and the remedy.

    `main.py` and the other command lines print it to stderr and exit with status 2, without a traceback.
    """


def first_line(error: Exception) -> str:
    """The first line of an error's message; the name of its type if there is none."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def error_line(error: OSError | UserError) -> str | None:
    """The line to print for an error that the user can fix; None for an OSError without a file name."""
    if isinstance(error, UserError):
        return " ".join(str(error).splitlines())  # messages of libraries may have several
    if error.errno in DISK_FULL:
        return f"the disk is full ({error}); free some space, and continue a training with --resume auto"
    if error.filename is None or error.strerror is None:
        return None
    remedies = {errno.ENAMETOOLONG: "give a shorter path", errno.EIO: "check the disk"}
    remedy = remedies.get(error.errno or 0, "check the path and its permissions")
    return f"{str(error.filename)[:200]}: {error.strerror}; {remedy}"
