"""The queue: what to run next, by value for its time.

A unit of work is one seed of one trial. It belongs on this machine if it ends within two hours, and on an accelerator
if it ends within one command of ten minutes; a longer one is declared and estimated, not begun.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from torchmann.core.atomic import write_atomically
from torchmann.core.errors import DataError
from torchmann.experiments.estimate import spoken
from torchmann.experiments.experiment import Experiment, Trial
from torchmann.experiments.results import Results, identity

CPU_HOURS = 2.0
"""That a unit may take on the CPU."""

FILE = "timings.jsonl"
"""Of the timings, below the directory of the records."""


@dataclass(frozen=True)
class Timing:
    """How long a seed of a trial takes.

    Attributes:
        identity: of the configuration.
        seconds: on one CPU thread.
        device: that it was timed on.
        date: of the timing.
    """

    identity: str
    seconds: float
    device: str
    date: str


def read_timings(directory: Path) -> dict[str, Timing]:
    """The timings below a directory of records, by identity; the last one of each counts.

    Raises:
        DataError: a line is no timing.
    """
    path = directory / FILE
    if not path.exists():
        return {}
    try:
        found = [Timing(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    except (ValueError, TypeError) as error:
        raise DataError(f"{path} holds a line that is no timing: {error}. Remove it, and time again.") from error
    return {timing.identity: timing for timing in found}


def add_timings(directory: Path, timings: Sequence[Timing]) -> None:
    """Keep timings, in place of earlier ones of the same configurations."""
    kept = read_timings(directory) | {timing.identity: timing for timing in timings}
    directory.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(asdict(kept[key]), sort_keys=True) + "\n" for key in sorted(kept)]
    write_atomically(directory / FILE, "".join(lines).encode())


@dataclass(frozen=True)
class Queued:
    """The next seed of a trial.

    Attributes:
        experiments: that count it.
        trial: of the first of them.
        seed: the next one without a record.
        value: what knowing it is worth, see `value_of`.
        seconds: of CPU time; None where it was not timed.
    """

    experiments: tuple[str, ...]
    trial: Trial
    seed: int
    value: float
    seconds: float | None

    @property
    def per_hour(self) -> float:
        """Value for an hour of CPU time; 0 where the time is not known."""
        return 3600 * self.value / self.seconds if self.seconds else 0.0


def value_of(trial: Trial, experiment: Experiment, seeds_done: int) -> float:
    """What another seed of a trial is worth: a point for a number of the paper, one for every claim that it decides,
    half a point for being a curve of a figure; divided by one more than the seeds that there are.
    """
    claims = sum(trial.key in (claim.better, claim.worse) for claim in experiment.claims)
    worth = claims + (1.0 if trial.reported is not None else 0.5)
    return worth / (1 + seeds_done)


def queue(experiments: Sequence[Experiment], results: Results, timings: Mapping[str, Timing]) -> list[Queued]:
    """The next seed of every trial that has fewer runs than the paper, the most valuable for its time first."""
    found: dict[str, Queued] = {}
    for experiment in experiments:
        for trial in experiment.runnable:
            assert trial.config is not None
            done = {record.seed for record in results.of(trial, "full")}
            missing = [seed for seed in range(experiment.seeds) if seed not in done]
            if not missing:
                continue
            key = identity(trial.config)
            value, earlier = value_of(trial, experiment, len(done)), found.get(key)
            timing = timings.get(key)
            if earlier is not None:
                named = (*earlier.experiments, experiment.name)
                found[key] = Queued(named, earlier.trial, missing[0], earlier.value + value, earlier.seconds)
            else:
                seconds = None if timing is None else timing.seconds
                found[key] = Queued((experiment.name,), trial, missing[0], value, seconds)
    return sorted(found.values(), key=lambda each: (-each.per_hour, each.experiments, each.trial.key))


def markdown(queued: Sequence[Queued], timings: Mapping[str, Timing]) -> str:
    """The queue as a page."""
    fit = [each for each in queued if each.seconds is not None and each.seconds <= 3600 * CPU_HOURS]
    long = [each for each in queued if each.seconds is not None and each.seconds > 3600 * CPU_HOURS]
    unknown = [each for each in queued if each.seconds is None]
    devices = ", ".join(sorted({timing.device for timing in timings.values()}))
    parts = [
        "# What to run next",
        "Made by `python docs/write_results.py` from the declarations, the records and the timings. A unit is one seed "
        "of one trial; the most valuable for its time comes first. Times are those of one CPU thread, from a few timed "
        f"iterations ({devices or 'none timed yet'}): two units run at once on two cores. Times on an accelerator are "
        "not measured.",
        f"## Within {CPU_HOURS:g} hours on the CPU: {len(fit)} units, {spoken(sum(each.seconds or 0 for each in fit))}",
        _table(fit),
        f"## Longer on the CPU: {len(long)} units, {spoken(sum(each.seconds or 0 for each in long))}",
        _table(long),
    ]
    if unknown:
        parts += [f"## Not timed here, mostly for want of data: {len(unknown)} units", _table(unknown)]
    return "\n\n".join(parts) + "\n"


def _table(queued: Sequence[Queued]) -> str:
    lines = ["| experiments | trial | seed | time | value an hour |", "| --- | --- | --- | --- | --- |"]
    for each in queued:
        time = "" if each.seconds is None else spoken(each.seconds)
        worth = "" if each.seconds is None else f"{each.per_hour:.3g}"
        key = each.trial.key.replace(" | ", ", ")
        lines.append(f"| {', '.join(each.experiments)} | {key} | {each.seed} | {time} | {worth} |")
    return "\n".join(lines)
