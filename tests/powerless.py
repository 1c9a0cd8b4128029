"""Permissions that hold: root reads and writes every file, unless it gives that up."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator

OVERRIDES = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH of linux/capability.h
VERSION_3 = 0x20080522


@contextlib.contextmanager
def permissions_hold() -> Iterator[None]:
    """Let file permissions bind this thread in the body, also where the tests run as root on Linux."""
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header, before = (ctypes.c_uint32 * 2)(VERSION_3, 0), (ctypes.c_uint32 * 6)()
    assert libc.capget(header, before) == 0
    fewer = (ctypes.c_uint32 * 6)(before[0] & ~OVERRIDES, *before[1:])
    assert libc.capset(header, fewer) == 0
    try:
        yield
    finally:
        assert libc.capset(header, before) == 0


@contextlib.contextmanager
def mode(path, bits: int) -> Iterator[None]:
    """The path with these permissions, in the body."""
    before = os.stat(path).st_mode
    os.chmod(path, bits)
    try:
        with permissions_hold():
            yield
    finally:
        os.chmod(path, before)
