"""What training shows while it runs: one live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from typing import Any, Protocol, TextIO

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from torchmann.training.loop import Measurement, Training

PLAIN_SECONDS = 10.0
"""Least time between two plain lines."""


BAR_WIDTH = 16


class Progress(Protocol):
    """Follows a training while it is open."""

    def __enter__(self) -> Progress: ...

    def __exit__(self, *exception: Any) -> None: ...

    def show(self, measurement: Measurement) -> None:
        """Take notice of a measurement."""


def progress_of(training: Training, stream: TextIO) -> Progress:
    """The way to show a training that suits `stream`."""
    return LiveLine(training, stream) if stream.isatty() else PlainLines(training, stream)


class Status:
    """The latest measurement of each split, in words.

    Args:
        training: what is followed.
    """

    def __init__(self, training: Training) -> None:
        self.training = training
        self.latest: dict[str, Measurement] = {}

    def words(self) -> list[str]:
        """Speed, loss, the metric on training and on validation sequences, time left; what is not known is left out."""
        training, metric = self.training, self.training.task.metric
        words = []
        if training.seconds and training.iteration:
            words.append(f"{training.iteration / training.seconds:.3g} it/s")
        if train := self.latest.get("train"):
            words.append(f"loss {train.loss:.4g}")
            if metric in train.scores:
                words.append(f"{metric.replace('_', ' ')} {train.scores[metric]:.1%}")
        if validation := self.latest.get("validation"):
            words.append(f"held out {validation.scores[metric]:.1%}")
        if (left := seconds_left(training)) is not None and not training.stopped:
            words.append(f"{'at most ' if training.settings.solved_at is not None else ''}{clock(left)} left")
        return words


def seconds_left(training: Training) -> float | None:
    """The longest time that training can still take at its present speed; None before it has one."""
    if not training.iteration:
        return None
    settings = training.settings
    left = (settings.iterations - training.iteration) * training.seconds / training.iteration
    return left if settings.max_seconds is None else max(0.0, min(left, settings.max_seconds - training.seconds))


def clock(seconds: float) -> str:
    """``m:ss``, or ``h:mm:ss`` from an hour on."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class PlainLines:
    """A line now and then and one at the end, for a file or a pipe."""

    def __init__(self, training: Training, stream: TextIO) -> None:
        self.status, self.stream = Status(training), stream
        self._printed = -PLAIN_SECONDS

    def __enter__(self) -> PlainLines:
        return self

    def __exit__(self, *exception: Any) -> None:
        if self.status.latest:
            self._print()

    def show(self, measurement: Measurement) -> None:
        """Print a line if the last one is old enough."""
        self.status.latest[measurement.split] = measurement
        training = self.status.training
        if not training.stopped and time.monotonic() - self._printed >= PLAIN_SECONDS:
            self._printed = time.monotonic()
            self._print()

    def _print(self) -> None:
        training = self.status.training
        count = f"iteration {training.iteration}/{training.settings.iterations}"
        print("  ".join([count, *self.status.words()]), file=self.stream, flush=True)


class LiveLine:
    """One line that is redrawn several times a second, from a thread of its own."""

    def __init__(self, training: Training, stream: TextIO) -> None:
        self.status = Status(training)
        self._console = Console(file=stream)
        self._live = Live(console=self._console, get_renderable=self.render, refresh_per_second=4)

    def __enter__(self) -> LiveLine:
        self._live.start()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._live.stop()

    def show(self, measurement: Measurement) -> None:
        """Keep it for the next redrawing."""
        self.status.latest[measurement.split] = measurement

    def render(self) -> Table:
        """The line as it is now; the bar is left out where the terminal is too narrow for all."""
        training = self.status.training
        done, total = training.iteration, training.settings.iterations
        words = "  ".join([f"{done}/{total}", *self.status.words()])
        line = Table.grid(padding=(0, 2))
        if self._console.width >= len(words) + BAR_WIDTH + 4:
            line.add_row(ProgressBar(total=total, completed=done, width=BAR_WIDTH), words)
        else:
            line.add_row(Text(words, no_wrap=True, overflow="ellipsis"))
        return line
