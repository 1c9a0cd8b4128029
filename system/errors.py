"""The one exception that a person at the command line is meant to read, and the one form in which commands tell it."""

from __future__ import annotations

import argparse
import functools
import re
import sys
from collections.abc import Callable


class UserError(Exception):
    """A problem that the user can mend: one line that names the flag or file and the remedy.

    `main.py` and the other command lines print it to stderr and exit with status 2, without a traceback.
    """


class Parser(argparse.ArgumentParser):
    """Flags of a command; what is wrong with them is one line on stderr and exit status 2."""

    def error(self, message: str):
        sys.stderr.write(f"error: {one_spelling(message)} ({self.prog} --help lists every flag)\n")
        sys.exit(2)


def one_spelling(message: str) -> str:
    """argparse's message with one spelling of the flag."""
    return re.sub(r"^argument (-\S+?)(/-\S+)*:", r"\1:", message)


def command_line(main: Callable[..., int | None]) -> Callable[..., int]:
    """For the `main` of a command line: it returns the exit status, 0, or 2 after the one line of a UserError."""

    @functools.wraps(main)
    def wrapped(*args, **kwargs) -> int:
        try:
            return main(*args, **kwargs) or 0
        except UserError as error:
            sys.stderr.write(f"error: {error}\n")
            return 2

    return wrapped
