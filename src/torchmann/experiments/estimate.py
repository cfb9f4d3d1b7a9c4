"""Estimates: how long trials take here, from a few timed iterations of each, and on an accelerator, from a count."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

from torchmann.experiments.runner import Unit
from torchmann.training import Config
from torchmann.training.run import training_of

TIMED = 4
"""Iterations."""

SECONDS = 10.0
"""After which no further iteration is timed."""


@dataclass(frozen=True)
class Estimate:
    """What a unit takes.

    Attributes:
        seconds_per_iteration: of one seed, evaluations not included.
        seconds: of all its seeds, one after another, evaluations included.
        computing: the same in seconds of computing, which other programs do not add to; of all threads together.
    """

    seconds_per_iteration: float
    seconds: float
    computing: float


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
    walls: list[float] = []
    works: list[float] = []
    while len(walls) < min(TIMED, settings.iterations) and (not walls or time.perf_counter() - began < SECONDS):
        wall, work = time.perf_counter(), time.process_time()
        training.step()
        walls.append(time.perf_counter() - wall)
        works.append(time.process_time() - work)
    each = min(fmean(walls), median(walls))
    # An evaluated sequence costs about a third of a trained one: there is no backward pass.
    evaluations = settings.iterations // settings.evaluate_every * settings.evaluation_batches
    share = evaluations * settings.evaluation_batch_size / (3 * settings.batch_size)
    iterations = (settings.iterations + share) * len(unit.seeds)
    return Estimate(each, each * iterations, min(fmean(works), median(works)) * iterations)


LAUNCH_SECONDS = 6e-6
"""Assumed for each operation that an accelerator is given: small models wait for launches, not for arithmetic."""


def accelerator_seconds(config: Config) -> float:
    """What a trial would take on an accelerator in the eager engine, its evaluations not included.

    This is no measurement: it counts the operations of one training iteration, on one sequence, and takes
    `LAUNCH_SECONDS` for each.
    """
    model = replace(config.model, options={**config.model.options, "engine": "eager"})
    settings = replace(config.settings, batch_size=1, evaluation_batch_size=1)
    training = training_of(replace(config, model=model, settings=settings))
    training.start()
    with Launches() as launches:
        training.step()
    return launches.count * LAUNCH_SECONDS * config.settings.iterations


class Launches(TorchDispatchMode):
    """Counts the operations within this context that compute something, forward and backward."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Count an operation unless it only looks at a tensor in another way, and do it."""
        self.count += not func.is_view
        return func(*args, **(kwargs or {}))


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
