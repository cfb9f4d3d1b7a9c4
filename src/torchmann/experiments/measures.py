"""Measures: what runs are judged by, each a function of a record."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from itertools import pairwise

from torchmann.experiments.experiment import Measure
from torchmann.experiments.record import Record

Of = Callable[[Record], float | None]


def tested(score: str, label: str = "test", times: float = 1.0) -> Of:
    """A score of the final evaluation, multiplied."""

    def of(record: Record) -> float | None:
        value = record.scores.get(label, {}).get(score)
        return None if value is None else times * value

    return of


def tested_mean(prefix: str, label: str = "test", times: float = 1.0) -> Of:
    """The mean of the scores of the final evaluation whose names begin so, multiplied: over tasks trained jointly."""

    def of(record: Record) -> float | None:
        values = [value for name, value in record.scores.get(label, {}).items() if name.startswith(prefix)]
        return times * statistics.fmean(values) if values else None

    return of


def tested_above(prefix: str, level: float, label: str = "test") -> Of:
    """How many scores of the final evaluation whose names begin so are above `level`."""

    def of(record: Record) -> float | None:
        values = [value for name, value in record.scores.get(label, {}).items() if name.startswith(prefix)]
        return float(sum(value > level for value in values)) if values else None

    return of


def best(series: str, times: float = 1.0) -> Of:
    """The largest value of a curve, multiplied."""

    def of(record: Record) -> float | None:
        values = record.curve(series)[1]
        return times * max(values) if values else None

    return of


def average(series: str, times: float = 1.0) -> Of:
    """The mean of a curve over all iterations: what learns sooner and further has more."""

    def of(record: Record) -> float | None:
        values = record.curve(series)[1]
        return times * statistics.fmean(values) if values else None

    return of


def last(series: str, points: int = 1, times: float = 1.0) -> Of:
    """The mean of a curve's last points."""

    def of(record: Record) -> float | None:
        values = record.curve(series)[1][-points:]
        return times * statistics.fmean(values) if values else None

    return of


def reached(series: str, level: float, *, above: bool = True, window: int = 1) -> Of:
    """The iteration at which the mean of a curve's last `window` points first reaches a level; None if never."""

    def of(record: Record) -> float | None:
        iterations, values = record.curve(series)
        for end in range(window, len(values) + 1):
            mean = statistics.fmean(values[end - window : end])
            if mean >= level if above else mean <= level:
                return iterations[end - 1]
        return None

    return of


def solved(series: str, level: float, *, window: int, peaks: float) -> Of:
    """The iteration at which a task is solved: a point below `level` that ends `window` points of which less than the
    share `peaks` lies above it; None if never.
    """

    def of(record: Record) -> float | None:
        iterations, values = record.curve(series)
        for end in range(window, len(values) + 1):
            seen = values[end - window : end]
            if seen[-1] < level and sum(value > level for value in seen) < peaks * window:
                return iterations[end - 1]
        return None

    return of


def unsteadiness(series: str) -> Of:
    """How far a curve goes up and down in all, beyond the way from its first point to its last."""

    def of(record: Record) -> float | None:
        values = record.curve(series)[1]
        if len(values) < 2:
            return None
        return sum(abs(later - earlier) for earlier, later in pairwise(values)) - abs(values[-1] - values[0])

    return of


def roughness(series: str, below: float) -> Of:
    """By how much the common logarithm of a curve changes from one point to the next on average, where both are below
    a level; None where no two points are.
    """

    def of(record: Record) -> float | None:
        values = record.curve(series)[1]
        low = [(one, next_) for one, next_ in pairwise(values) if min(one, next_) > 0 and max(one, next_) < below]
        return statistics.fmean(abs(math.log10(next_ / one)) for one, next_ in low) if low else None

    return of


def extra(name: str, times: float = 1.0) -> Of:
    """A number that the experiment has taken from the trained model."""

    def of(record: Record) -> float | None:
        value = record.extra.get(name)
        return None if value is None else times * value

    return of


def _milliseconds(record: Record) -> float | None:
    return 1e3 * record.seconds / record.iteration / record.together if record.iteration else None


def _megabytes(record: Record) -> float | None:
    return None if record.peak_bytes is None else record.peak_bytes / 1e6


MILLISECONDS = Measure("ms an iteration", _milliseconds, "ms", "lower", 1)
"""Time of an iteration, evaluations included; of each of several seeds that were trained at once."""

MEGABYTES = Measure("peak memory", _megabytes, "MB", "lower", 0)

COST: Sequence[Measure] = (MILLISECONDS, MEGABYTES)
"""What every report shows beside the results."""
