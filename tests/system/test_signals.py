"""Signals: one request to stop, however many ways it comes."""

from __future__ import annotations

import contextlib
import signal

import pytest

from system import signals as interruption
from system.signals import Interrupted, Interruption


def test_a_deferred_signal_is_noted_and_raises_where_it_is_no_longer_deferred():
    with Interruption() as listener, listener.deferred():
        signal.raise_signal(signal.SIGTERM)
        assert listener.requested == "SIGTERM"
        with pytest.raises(Interrupted, match="SIGTERM"), listener.deferred(False):
            pytest.fail("the body must not be reached")


def test_a_signal_raises_where_nothing_defers_it_and_is_caught_by_no_code_that_forgives_errors():
    with Interruption() as listener:
        with listener.deferred():
            pass
        with pytest.raises(Interrupted, match="SIGINT"), contextlib.suppress(Exception):
            signal.raise_signal(signal.SIGINT)


def test_the_same_request_by_two_ways_does_not_cut_the_step_short():
    with Interruption() as listener, listener.deferred():
        signal.raise_signal(signal.SIGINT)  # the terminal's
        signal.raise_signal(signal.SIGTERM)  # the script's
        assert listener.requested == "SIGINT"


def test_a_later_signal_stops_at_once(monkeypatch):
    monkeypatch.setattr(interruption, "SAME_REQUEST", 0.0)
    with Interruption() as listener, listener.deferred():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(Interrupted):
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(("disposition", "requested"), [(signal.SIG_DFL, "SIGHUP"), (signal.SIG_IGN, None)])
def test_a_closed_terminal_asks_to_stop_unless_nohup_has_it_ignored(disposition, requested):
    before = signal.signal(signal.SIGHUP, disposition)
    try:
        with Interruption() as listener, listener.deferred():
            signal.raise_signal(signal.SIGHUP)
            assert listener.requested == requested
    finally:
        signal.signal(signal.SIGHUP, before)


def test_the_handlers_from_before_come_back():
    before = signal.getsignal(signal.SIGTERM)
    with Interruption():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
