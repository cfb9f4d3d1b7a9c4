"""Signals: Ctrl-C and SIGTERM let the iteration under way end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torchmann.training.ensemble import Ensemble
from torchmann.training.loop import Training


@contextmanager
def interruptible(training: Training | Ensemble) -> Iterator[None]:
    """Within this context the first Ctrl-C or SIGTERM asks `training` to end; a second Ctrl-C is a KeyboardInterrupt.

    In a thread other than the main one, which cannot take signals, they do what they did before.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask(number: int, frame: Any) -> None:
        training.interrupt()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
