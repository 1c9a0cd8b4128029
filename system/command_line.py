"""Command lines: the types of their flags and how --help shows them; how a command ends, with one line for an error."""

from __future__ import annotations

import argparse
import difflib
import functools
import io
import json
import math
import os
import re
import sys
from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, NoReturn

from system.errors import UserError, error_line

BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class CommandLine(NamedTuple):
    """A parsed command line.

    args: the values of all flags.
    given: names of the flags on the command line; the others have their defaults.
    typed: the command line as a text for a shell.
    changed: the arguments that are not at their default.
    """

    args: Namespace
    given: frozenset[str]
    typed: str = ""
    changed: Mapping[str, Any] = MappingProxyType({})


def boolean(text: str) -> bool:
    """true/yes/1 and false/no/0, in any case."""
    if text.lower() not in BOOLEANS:
        raise ArgumentTypeError(f"{_short(text)} is neither true/yes/1 nor false/no/0")
    return BOOLEANS[text.lower()]


def boolean_or_auto(text: str) -> bool | str:
    """As `boolean`, or the word auto."""
    return text if text == "auto" else boolean(text)


def integers(text: str) -> list[int]:
    """A list such as '[100]' or '[16, 25, 36]'."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, list) or not values or any(type(v) is not int or v < 1 for v in values):
        raise ArgumentTypeError(f"{_short(text)} is not a list of positive integers such as '[100]'")
    return values


def path(text: str) -> str:
    """A path: any non-empty text; `~` is the home folder, as shells leave it in --log-path=~/logs."""
    if not text or "\0" in text:
        raise ArgumentTypeError(f"{_short(text)} is no path: name a folder, or leave the flag out")
    if os.fsencode(text) != text.encode(errors="replace"):  # TensorBoard could not find it
        raise ArgumentTypeError(f"{text!a} is not in UTF-8 here: set PYTHONUTF8=1, or give another path")
    return os.path.expanduser(text)


def optional(kind: Callable) -> Callable:
    """`kind`, or the word none for None."""

    @functools.wraps(kind)
    def parse(text: str):
        return None if text.lower() == "none" else kind(text)

    return parse


def at_least(minimum: float, kind: Callable = int, most: float = math.inf, below: float = math.inf) -> Callable:
    """A number of the given kind (int, float), at least `minimum`, at most `most`, and less than `below`."""

    def parse(text: str):
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not minimum <= value < below or value > most:
            upper = f", at most {most}" if most < math.inf else f", below {below}" if below < math.inf else ""
            number = "an integer" if kind is int else "a number"
            raise ArgumentTypeError(f"{_short(text)} is not {number} of at least {minimum}{upper}")
        return value

    parse.__name__ = kind.__name__
    return parse


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:37]}...")


class Formatter(argparse.RawDescriptionHelpFormatter):
    """For every flag its first spelling, its help and its default, as wide as the terminal."""

    def __init__(self, prog: str):
        super().__init__(prog, max_help_position=34)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        names = [name for name in action.option_strings if name in ("-h", "-lr")] + [*action.option_strings[:1]]
        metavar = "" if action.nargs == 0 else self._format_args(action, str(action.metavar or action.dest).upper())
        if choices := [*(action.choices or ())]:
            metavar = "{" + ",".join(map(str, choices)) + "}" if len(choices) < 5 else "NAME"
        return f"{', '.join(dict.fromkeys(names))} {metavar}".rstrip()

    def _get_help_string(self, action: argparse.Action) -> str:
        if action.dest == "help" or action.default is argparse.SUPPRESS:
            return action.help or ""
        return f"{action.help} [{'none' if action.default is None else '%(default)s'}]"


def add(group, name: str, kind, default, help: str, *short: str, **more) -> None:
    """Add a flag in the given spelling, with - for _, and with _ for -. A boolean without a value is True."""
    dest = name[2:].replace("-", "_")
    if kind in (boolean, boolean_or_auto):
        more |= {"nargs": "?", "const": True, "metavar": "BOOL"}
    elif "choices" not in more:
        more.setdefault("metavar", {"int": "N", "float": "X", "integers": "LIST"}.get(kind.__name__, "TEXT"))
    spellings = dict.fromkeys([name, f"--{dest}", f"--{dest.replace('_', '-')}", *short])
    group.add_argument(*spellings, type=kind, default=default, help=help, dest=dest, **more)


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors raise UserError, with one spelling of the flag, and what may have been meant."""

    def error(self, message: str):
        message = re.sub(r"^argument (-\S+?)(/-\S+)*:", r"\1:", message)
        if unknown := re.match(r"unrecognized arguments: (-[^\s=]+)", message):
            message += _meant(unknown[1], self._option_string_actions)
        elif invalid := re.match(r"(-\S+): invalid choice: '([^']*)'", message):
            message += _meant(invalid[2], map(str, self._option_string_actions[invalid[1]].choices or ()))
        raise UserError(f"{message} ({self.prog} --help lists every flag)")


def _meant(text: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(text, list(known), 1)
    return f"; did you mean {near[0]}?" if near else ""


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


def start(main: Callable[[], int]) -> NoReturn:
    """Run the `main` of a command that a shell has started, and exit with its status; 130 after Ctrl-C."""
    ignore_failed_writes()
    os.environ["MPLBACKEND"] = "agg"  # a notebook's names one that this environment may lack
    seconds = os.environ.get("TQDM_MININTERVAL", "0")
    if not re.fullmatch(r"\d+\.?\d*|\.\d+", seconds):  # tqdm would fail while it is imported
        sys.stderr.write("error: the environment variable TQDM_MININTERVAL is not a number of seconds: unset it\n")
        sys.exit(2)
    if not sys.stderr.isatty():  # a log file keeps every state of a progress bar
        os.environ.setdefault("TQDM_MININTERVAL", "10")
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.stderr.write("stopped by Ctrl-C\n")
        sys.exit(130)


class _Forgiving(io.FileIO):
    """A file descriptor that discards output which cannot be written: its reader has exited, or its disk is full."""

    def write(self, content) -> int:
        try:
            return super().write(content)
        except OSError:
            return len(content)


def ignore_failed_writes() -> None:
    """Ignore failed writes to stdout and stderr (`main.py | head -1`); escape what the terminal cannot encode."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started the command, as by `2>&-`
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
            continue
        stream.flush()
        raw = io.BufferedWriter(_Forgiving(stream.fileno(), "w", closefd=False))
        by_line = name == "stderr" or stream.isatty()
        setattr(sys, name, io.TextIOWrapper(raw, stream.encoding, "backslashreplace", line_buffering=by_line))
