"""A command continues if its output cannot be written."""

from __future__ import annotations

import io
import sys


class _DiscardingFile(io.FileIO):
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
        if stream is None:  # closed by whoever started the command
            continue
        stream.flush()
        raw = _DiscardingFile(stream.fileno(), "w", closefd=False)
        replacement = io.TextIOWrapper(
            io.BufferedWriter(raw),
            encoding=stream.encoding,
            errors="backslashreplace",
            line_buffering=name == "stderr" or stream.isatty(),
        )
        setattr(sys, name, replacement)
