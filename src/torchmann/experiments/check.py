"""Do runs made now agree with the stored records?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torchmann.experiments.comparison import Ours
from torchmann.experiments.experiment import Experiment, Trial
from torchmann.experiments.results import Results

EQUAL = 1e-3
"""Share by which equal numbers may differ: another processor rounds otherwise."""

SPREADS = 2.0
"""Standard deviations over seeds by which means may differ."""


@dataclass(frozen=True)
class Agreement:
    """A trial's stored runs and fresh ones.

    Attributes:
        trial: of the experiment.
        stored, fresh: its measure over either.
        answer: ``"equal"``, ``"within the spread"``, ``"off"``, or what is missing.
    """

    trial: Trial
    stored: Ours
    fresh: Ours
    answer: str


def agreements(
    experiment: Experiment, trials: Sequence[Trial], stored: Results, fresh: Results, scale: str
) -> list[Agreement]:
    """For every trial, whether its fresh runs agree with its stored ones by its measure."""
    found = []
    for trial in trials:
        before, now, measure = stored.of(trial, scale), fresh.of(trial, scale), experiment.measure_of(trial)
        sides = Ours.over(before, measure), Ours.over(now, measure)
        seeds = {record.seed for record in before} & {record.seed for record in now}
        pairs = [
            [measure.of(next(record for record in side if record.seed == seed)) for side in (before, now)]
            for seed in sorted(seeds)
        ]
        found.append(Agreement(trial, *sides, _answer(*sides, pairs)))
    return found


def _answer(stored: Ours, fresh: Ours, pairs: Sequence[Sequence[float | None]]) -> str:
    if not stored.n or not fresh.n:
        return "nothing stored" if not stored.n else "not run now"
    if pairs and all(_equal(before, now) for before, now in pairs):
        return "equal"
    if stored.mean is None or fresh.mean is None:
        return "off"
    spread = max(stored.sd or 0.0, fresh.sd or 0.0)
    return "within the spread" if abs(stored.mean - fresh.mean) <= SPREADS * spread else "off"


def _equal(before: float | None, now: float | None) -> bool:
    if before is None or now is None:
        return before is now
    return math.isclose(before, now, rel_tol=EQUAL)
