"""Paper against ours: what the runs of a trial come to, and what becomes of the paper's claims."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from torchmann.experiments.experiment import Claim, Experiment, Measure, Reported, Trial
from torchmann.experiments.record import Record
from torchmann.experiments.results import Results


@dataclass(frozen=True)
class Ours:
    """A measure over the runs of a trial.

    Attributes:
        values: of the runs that have one, in the order of their seeds.
        n: runs, those without a value included.
        better: which end is better, as in `Measure`.
    """

    values: tuple[float, ...]
    n: int
    better: str | None

    @classmethod
    def over(cls, records: Sequence[Record], measure: Measure) -> Ours:
        """A measure over records."""
        found = [value for record in records if (value := measure.of(record)) is not None]
        return cls(tuple(found), len(records), measure.better)

    @property
    def mean(self) -> float | None:
        """Over the runs that have a value."""
        return statistics.fmean(self.values) if self.values else None

    @property
    def sd(self) -> float | None:
        """The sample standard deviation; None for fewer than two values."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    @property
    def median(self) -> float | None:
        """Over the runs that have a value."""
        return statistics.median(self.values) if self.values else None

    @property
    def best(self) -> float | None:
        """The value at the better end; None where neither is better."""
        if not self.values or self.better is None:
            return None
        return max(self.values) if self.better == "higher" else min(self.values)

    @property
    def success_rate(self) -> float | None:
        """The share of runs that have a value: of measures that not every run reaches."""
        return len(self.values) / self.n if self.n else None


def against(reported: Reported | None, ours: Ours) -> str:
    """What our mean says of the paper's number: ``"as reported"``, ``"above"``, ``"below"``, or nothing.

    It is as reported within the declared tolerance, or within two of the paper's standard deviations.
    """
    if reported is None or ours.mean is None:
        return ""
    tolerance = reported.tolerance
    if tolerance is None:
        if reported.sd is None:
            return ""
        tolerance = 2 * reported.sd
    difference = ours.mean - reported.value
    if abs(difference) <= tolerance:
        return "as reported"
    return "above" if difference > 0 else "below"


@dataclass(frozen=True)
class Verdict:
    """What our runs say of a claim.

    Attributes:
        claim: of the paper.
        measure: by which it is judged.
        better, worse: our values of the two trials.
        answer: in words.
    """

    claim: Claim
    measure: Measure
    better: Ours
    worse: Ours
    answer: str


NOT_RUN = "not run"


def verdict(claim: Claim, experiment: Experiment, results: Results, scale: str) -> Verdict:
    """What our runs say of a claim, by all pairs of a run of either trial."""
    measure = claim.measure or experiment.measure_of(experiment.trial(claim.better))
    keys = (claim.better, claim.worse)
    better, worse = (Ours.over(results.of(experiment.trial(key), scale), measure) for key in keys)
    return Verdict(claim, measure, better, worse, _answer(better, worse, measure))


def _answer(better: Ours, worse: Ours, measure: Measure) -> str:
    if not better.n or not worse.n:
        return NOT_RUN
    if measure.better is None:
        return "no side of this measure is better"
    worst = float("-inf") if measure.better == "higher" else float("inf")  # of a run that never got there
    ours, theirs = ([*side.values, *[worst] * (side.n - len(side.values))] for side in (better, worse))
    won = sum((x > y) if measure.better == "higher" else (x < y) for x in ours for y in theirs)
    pairs = len(ours) * len(theirs)
    told = f"in {won} of {pairs} pairs of runs"
    if won == pairs:
        return f"holds {told}"
    return f"holds mostly, {told}" if won > pairs / 2 else f"does not hold: {told}"


@dataclass(frozen=True)
class Place:
    """A trial with its records.

    Attributes:
        trial: as declared.
        records: of its runs.
        measure: by which it is judged.
        ours: that measure over them.
        answer: what it says of the paper's number.
    """

    trial: Trial
    records: tuple[Record, ...]
    measure: Measure
    ours: Ours
    answer: str


def places(experiment: Experiment, results: Results, scale: str) -> list[Place]:
    """All trials of an experiment with their records."""
    found = []
    for trial in experiment.trials:
        records = tuple(results.of(trial, scale))
        measure = experiment.measure_of(trial)
        ours = Ours.over(records, measure)
        found.append(Place(trial, records, measure, ours, against(trial.reported, ours)))
    return found
