"""Asked to stop by a signal, a run finishes its step, writes a checkpoint, and exits with the status for a restart."""

from __future__ import annotations

import contextlib
import math
import signal
import time
from collections.abc import Iterator

# EX_TEMPFAIL of sysexits.h, "try again later". scripts/slurm_sweep.sbatch requeues on it; so do HTCondor and LSF with
# `on_exit_remove` and `bsub -Q`.
EXIT_STATUS = 75
SAME_REQUEST = 1.0  # seconds


class Interrupted(KeyboardInterrupt):
    """A signal stopped the run. A KeyboardInterrupt, so that `except Exception` does not catch it."""


class Interruption:
    """Context manager that handles SIGTERM, SIGINT, and SIGHUP of a closed terminal (unless `nohup` has it ignored).

    A signal raises Interrupted at once. Inside `deferred()`, the first one only sets `requested`, which the training
    loop checks after each step. Signals within SAME_REQUEST of the last one are ignored: Ctrl-C reaches a run from the
    terminal, and again from the script that started it.
    """

    def __init__(self):
        self.requested: str | None = None  # name of the signal
        self._received = -math.inf  # time of the last signal, on the monotonic clock
        self._deferring = False

    def __enter__(self) -> Interruption:
        numbers = [signal.SIGTERM, signal.SIGINT]
        if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # POSIX has it
            numbers.append(signal.SIGHUP)
        self._previous = {number: signal.signal(number, self._on_signal) for number in numbers}
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, frame) -> None:
        if time.monotonic() - self._received < SAME_REQUEST:
            return
        self._received = time.monotonic()
        again, self.requested = self.requested is not None, signal.Signals(number).name
        if again or not self._deferring:
            self.stop()

    def stop(self) -> None:
        """Raise Interrupted."""
        raise Interrupted(f"stopped by {self.requested}")

    @contextlib.contextmanager
    def deferred(self, deferring: bool = True) -> Iterator[None]:
        """Defer signals in the body. With False, they raise at once again, also one that was deferred."""
        before, self._deferring = self._deferring, deferring
        try:
            if self.requested and not deferring:
                self.stop()
            yield
        finally:
            self._deferring = before
