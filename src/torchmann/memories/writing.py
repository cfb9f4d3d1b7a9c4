"""Writing policies: at which steps the memory is used, known before the unroll.

A policy gives the kind of each step. ``"dense"`` is a complete step; at a ``"hold"`` step only the controller runs, and
memory and reads stay as they are. Positions are absolute: a sequence may come in chunks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torchmann.core.cell import DENSE
from torchmann.core.errors import require_positive

HOLD = "hold"


class WritingPolicy(Protocol):
    """Anything that gives the kind of each step."""

    def schedule(self, length: int, start: int = 0) -> Sequence[str]:
        """The kinds of steps ``start, ..., start + length - 1`` (counted from 0)."""


class EveryStep:
    """A complete memory step each time."""

    def schedule(self, length: int, start: int = 0) -> Sequence[str]:
        """All dense."""
        return [DENSE] * length

    def __repr__(self) -> str:
        return "EveryStep()"


class Uniform:
    """Uniform writing: a complete memory step at every interval-th step, the controller alone in between.

    Source: "Learning to remember more with less memorization", uniform writing: steps t = kL, counted from 1.

    Args:
        interval: L, in steps.
    """

    def __init__(self, interval: int) -> None:
        require_positive(interval=interval)
        self.interval = interval

    def schedule(self, length: int, start: int = 0) -> Sequence[str]:
        """Dense where the step's number, counted from 1, is a multiple of the interval."""
        return [HOLD if (step + 1) % self.interval else DENSE for step in range(start, start + length)]

    def __repr__(self) -> str:
        return f"Uniform({self.interval})"
