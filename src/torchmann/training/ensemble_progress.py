"""What an ensemble shows while it trains: a live table of seeds and scores on a terminal, plain lines elsewhere."""

from __future__ import annotations

import statistics
import time
from typing import Any, NamedTuple, Protocol, TextIO

from rich.console import Console
from rich.live import Live
from rich.table import Table

from torchmann.training.ensemble import Ensemble
from torchmann.training.loop import Measurement
from torchmann.training.progress import PLAIN_SECONDS, clock, seconds_left


class EnsembleProgress(Protocol):
    """Follows an ensemble while it is open."""

    def __enter__(self) -> EnsembleProgress: ...

    def __exit__(self, *exception: Any) -> None: ...

    def show(self, place: int, measurement: Measurement) -> None:
        """Take notice of a member's measurement."""


def ensemble_progress(ensemble: Ensemble, stream: TextIO) -> EnsembleProgress:
    """The way to show an ensemble that suits `stream`."""
    return LiveTable(ensemble, stream) if stream.isatty() else EnsembleLines(ensemble, stream)


class Numbers(NamedTuple):
    """What is known of a member: training loss, and the metric; None where it is not known yet."""

    loss: float | None
    train: float | None
    held_out: float | None
    best: float | None

    def words(self) -> list[str]:
        """As they are shown, a dash for what is not known."""
        loss, *scores = self
        return [_word(loss, ".4g"), *(_word(score, ".1%") for score in scores)]


def _word(number: float | None, form: str) -> str:
    return "-" if number is None else format(number, form)


class EnsembleStatus:
    """The latest measurements of each member.

    Args:
        ensemble: what is followed.
    """

    def __init__(self, ensemble: Ensemble) -> None:
        self.ensemble = ensemble
        self.metric = ensemble.members[0].task.metric
        self.settings = ensemble.members[0].settings
        self.latest: dict[tuple[int, str], Measurement] = {}

    def take(self, place: int, measurement: Measurement) -> None:
        """Take notice of a member's measurement."""
        self.latest[place, measurement.split] = measurement

    def numbers(self, place: int) -> Numbers:
        """What is known of a member."""
        train, validation = (self.latest.get((place, split)) for split in ("train", "validation"))
        return Numbers(
            None if train is None else train.loss,
            None if train is None else train.scores.get(self.metric),
            None if validation is None else validation.scores.get(self.metric),
            self.ensemble.members[place].best.score,
        )

    def medians(self) -> Numbers:
        """The medians over the members of which a number is known."""
        columns = zip(*map(self.numbers, range(len(self.ensemble.members))), strict=True)
        known = [[value for value in column if value is not None] for column in columns]
        return Numbers(*[statistics.median(values) if values else None for values in known])

    def solved(self) -> str:
        """How many members are solved, and which share that is; empty where nothing says what solved is."""
        if self.settings.solved_at is None:
            return ""
        members = self.ensemble.members
        solved = sum(member.stopped == "solved" for member in members)
        return f"solved {solved}/{len(members)} ({solved / len(members):.0%})"

    def time_left(self) -> str:
        """The longest time that training can still take; empty where there is no saying."""
        members = [self.ensemble.members[place] for place in self.ensemble.running]
        lefts = [left for member in members if (left := seconds_left(member)) is not None]
        limit = "at most " if self.settings.solved_at is not None else ""
        return f"{limit}{clock(max(lefts))} left" if lefts else ""

    def words(self) -> list[str]:
        """All members in one line; what is not known is left out."""
        ensemble, medians, words = self.ensemble, self.medians(), []
        if ensemble.seconds and ensemble.iteration:
            words.append(f"{ensemble.iteration / ensemble.seconds:.3g} it/s")
        if medians.loss is not None:
            words.append(f"median loss {medians.loss:.4g}")
        if medians.train is not None:
            words.append(f"{self.metric.replace('_', ' ')} {medians.train:.1%}")
        if medians.held_out is not None:
            words.append(f"held out {medians.held_out:.1%}")
        return [*words, *filter(None, (self.solved(), self.time_left()))]


class EnsembleLines:
    """A line now and then and one at the end, for a file or a pipe."""

    def __init__(self, ensemble: Ensemble, stream: TextIO) -> None:
        self.status, self.stream = EnsembleStatus(ensemble), stream
        self._printed = -PLAIN_SECONDS

    def __enter__(self) -> EnsembleLines:
        return self

    def __exit__(self, *exception: Any) -> None:
        if self.status.latest:
            self._print()

    def show(self, place: int, measurement: Measurement) -> None:
        """Print a line if the last one is old enough, when the last of the members has been measured."""
        self.status.take(place, measurement)
        running = self.status.ensemble.running
        if running and place == running[-1] and time.monotonic() - self._printed >= PLAIN_SECONDS:
            self._printed = time.monotonic()
            self._print()

    def _print(self) -> None:
        count = f"iteration {self.status.ensemble.iteration}/{self.status.settings.iterations}"
        print("  ".join([count, *self.status.words()]), file=self.stream, flush=True)


class LiveTable:
    """A table with a row for each seed, redrawn several times a second from a thread of its own."""

    def __init__(self, ensemble: Ensemble, stream: TextIO) -> None:
        self.status = EnsembleStatus(ensemble)
        self._live = Live(console=Console(file=stream), get_renderable=self.render, refresh_per_second=4)

    def __enter__(self) -> LiveTable:
        self._live.start()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._live.stop()

    def show(self, place: int, measurement: Measurement) -> None:
        """Keep it for the next redrawing."""
        self.status.take(place, measurement)

    def render(self) -> Table:
        """The table as it is now, with the medians and the share of solved members below."""
        status = self.status
        metric = status.metric.replace("_", " ")
        table = Table(caption=status.time_left(), caption_justify="left", box=None, pad_edge=False)
        for name in ("seed", "iteration", "loss", metric, "held out", "best", ""):
            table.add_column(name, justify="right" if name else "left")
        for place, member in enumerate(status.ensemble.members):
            words = [str(member.settings.seed), str(member.iteration), *status.numbers(place).words()]
            table.add_row(*words, member.stopped or "")
        table.add_section()
        table.add_row("median", "", *status.medians().words(), status.solved())
        return table
