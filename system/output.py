"""What a command prints never ends it."""

from __future__ import annotations

import io
import sys


class _Unheard(io.FileIO):
    """A file descriptor that takes what cannot be written: the reader has gone, or its disk is full."""

    def write(self, content) -> int:
        try:
            return super().write(content)
        except OSError:
            return len(content)


def keep_going_unheard() -> None:
    """Let the command go on where nobody reads on (`main.py | head -1`); spell out what the terminal cannot show."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started the command
            continue
        stream.flush()
        raw = _Unheard(stream.fileno(), "w", closefd=False)
        replacement = io.TextIOWrapper(
            io.BufferedWriter(raw),
            encoding=stream.encoding,
            errors="backslashreplace",
            line_buffering=name == "stderr" or stream.isatty(),
        )
        setattr(sys, name, replacement)
