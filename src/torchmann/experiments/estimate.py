"""Estimates: how long trials take here, from a few timed iterations of each."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from torchmann.experiments.runner import Unit
from torchmann.training.run import training_of

TIMED = 5
"""Iterations."""

SECONDS = 20.0
"""After which no further iteration is timed."""


@dataclass(frozen=True)
class Estimate:
    """What a unit takes.

    Attributes:
        seconds_per_iteration: of one seed, evaluations not included.
        seconds: of what is left of all its seeds, one after another, to the last iteration, evaluations included.
    """

    seconds_per_iteration: float
    seconds: float


def estimate(unit: Unit) -> Estimate:
    """Time a few iterations of a unit's first seed, in this process.

    The first iteration is not timed, as caches and kernels are made in it. Sequences may differ in length: the mean of
    the timed ones counts, or their median where that is less, since a disturbance only ever adds.

    Raises:
        OptionError: the configuration cannot be built.
        DataError: the task's data is missing.
    """
    training = training_of(unit.config)
    settings, began = unit.config.settings, time.perf_counter()
    training.start()
    training.step()
    times: list[float] = []
    while len(times) < min(TIMED, settings.iterations) and time.perf_counter() - began < SECONDS:
        times.append(_seconds(training.step))
    each = min(fmean(times), median(times)) if times else time.perf_counter() - began
    # An evaluated sequence costs about a third of a trained one: there is no backward pass.
    evaluations = settings.iterations // settings.evaluate_every * settings.evaluation_batches
    share = evaluations * settings.evaluation_batch_size / (3 * settings.batch_size)
    return Estimate(each, each * (settings.iterations + share) * len(unit.seeds))


def total(estimates: Sequence[Estimate], workers: int = 1) -> float:
    """Seconds of all units on so many workers, no less than the longest of them."""
    seconds = [each.seconds for each in estimates]
    return max(sum(seconds) / workers, max(seconds, default=0.0))


def spoken(seconds: float) -> str:
    """A time for people: seconds, minutes, hours or days."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"


def _seconds(step: object) -> float:
    began = time.perf_counter()
    step()  # type: ignore[operator]
    return time.perf_counter() - began
