"""The exception for problems that the user can fix, and how commands print it."""

from __future__ import annotations

import argparse
import errno
import functools
import re
import sys
from collections.abc import Callable

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)  # of the disk, or of the user's quota


class UserError(Exception):
    """A problem that the user can fix: one line that names the flag or file and the remedy.

    `main.py` and the other command lines print it to stderr and exit with status 2, without a traceback.
    """


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line on stderr and exit status 2."""

    def error(self, message: str):
        sys.stderr.write(f"error: {one_spelling(message)} ({self.prog} --help lists every flag)\n")
        sys.exit(2)


def one_spelling(message: str) -> str:
    """argparse's message with one spelling of the flag."""
    return re.sub(r"^argument (-\S+?)(/-\S+)*:", r"\1:", message)


def first_line(error: Exception) -> str:
    """The first line of an error's message; the name of its type if there is none."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def error_line(error: OSError | UserError) -> str | None:
    """The line to print for an error that the user can fix; None for an OSError without a file name."""
    if isinstance(error, UserError):
        return str(error)
    if error.errno in DISK_FULL:
        return f"the disk is full ({error}); free some space, and continue a training with --resume auto"
    if error.filename is None or error.strerror is None:
        return None
    remedies = {errno.ENAMETOOLONG: "give a shorter path", errno.EIO: "check the disk"}
    remedy = remedies.get(error.errno or 0, "check the path and its permissions")
    return f"{str(error.filename)[:200]}: {error.strerror}; {remedy}"


def command_line(main: Callable[..., int | None]) -> Callable[..., int]:
    """Decorates the `main` of a command: returns the exit status, 0, or 2 after printing the line of `error_line`."""

    @functools.wraps(main)
    def wrapped(*args, **kwargs) -> int:
        try:
            return main(*args, **kwargs) or 0
        except (UserError, OSError) as error:
            line = error_line(error)
            if line is None:
                raise
            sys.stderr.write(f"error: {line}\n")
            return 2

    return wrapped
