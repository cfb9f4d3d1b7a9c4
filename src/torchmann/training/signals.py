"""Signals: Ctrl-C, SIGTERM and a timer let the iteration under way end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

STOPS = (signal.SIGINT, signal.SIGTERM, *((signal.SIGALRM,) if hasattr(signal, "SIGALRM") else ()))
"""What asks training to end; there is no timer but on POSIX systems."""


class Interruptible(Protocol):
    """What can be asked to end: a training, an ensemble, a pool of jobs."""

    def interrupt(self) -> None:
        """Ask it to end after what is under way."""


@contextmanager
def interruptible(training: Interruptible) -> Iterator[None]:
    """Within this context the first Ctrl-C, SIGTERM or alarm of a timer asks `training` to end; a second Ctrl-C is a
    KeyboardInterrupt.

    In a thread other than the main one, which cannot take signals, they do what they did before.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask(number: int, frame: Any) -> None:
        training.interrupt()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = {number: signal.signal(number, ask) for number in STOPS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def interrupted_after(seconds: float | None) -> Iterator[None]:
    """Within this context training that is `interruptible` is asked to end when so many seconds have passed.

    Where nothing trains at that moment, or the system has no timer, nothing happens. None sets no timer.
    """
    main = threading.current_thread() is threading.main_thread()
    if seconds is None or not main or not hasattr(signal, "SIGALRM"):
        yield
        return
    before = signal.signal(signal.SIGALRM, lambda number, frame: None)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
