"""SIGTERM, SIGINT: a run finishes its step, writes a checkpoint, and exits with a status that asks for a restart."""

from __future__ import annotations

import contextlib
import math
import signal
import time
from collections.abc import Iterator

# EX_TEMPFAIL of sysexits.h, "try again later". Slurm's script requeues on it (scripts/slurm_sweep.sbatch); HTCondor and
# LSF take it in `on_exit_remove` and `bsub -Q`.
EXIT_STATUS = 75
SAME_REQUEST = 1.0  # seconds


class Interrupted(KeyboardInterrupt):
    """The run was asked to stop. A KeyboardInterrupt, so that no `except Exception` on the way swallows it."""


class Interruption:
    """Listens for SIGTERM and SIGINT while it is entered.

    At first a signal raises Interrupted where the program is. Inside `deferred()` it is only noted in `requested`, for
    the training loop to see between two steps; a second signal raises at once. Signals that follow one within
    SAME_REQUEST are the same request: Ctrl-C reaches a run from the terminal, and again from the script around it.
    """

    def __init__(self):
        self.requested: str | None = None  # name of the signal
        self._heard = -math.inf  # when, on the monotonic clock
        self._deferring = False

    def __enter__(self) -> Interruption:
        self._previous = {number: signal.signal(number, self._on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, frame) -> None:
        if time.monotonic() - self._heard < SAME_REQUEST:
            return
        self._heard = time.monotonic()
        again = self.requested is not None
        self.requested = signal.Signals(number).name
        if again or not self._deferring:
            self.stop()

    def stop(self) -> None:
        """Raise Interrupted."""
        raise Interrupted(f"stopped by {self.requested}")

    @contextlib.contextmanager
    def deferred(self, deferring: bool = True) -> Iterator[None]:
        """Only note signals in the body; with False, let them raise at once again, one that was noted included."""
        before, self._deferring = self._deferring, deferring
        try:
            if self.requested and not deferring:
                self.stop()
            yield
        finally:
            self._deferring = before
