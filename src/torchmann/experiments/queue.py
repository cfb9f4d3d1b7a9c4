"""The queue: what to run next, by value for its time.

A unit of work is one seed of one trial. It belongs on this machine if it ends within two hours, and on an accelerator
if it ends within one command of ten minutes; a longer one is declared and estimated, not begun.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path

from torchmann.benchmarks.report import processor
from torchmann.core.atomic import write_atomically
from torchmann.core.errors import DataError
from torchmann.experiments.estimate import LAUNCH_SECONDS, Estimate, accelerator_seconds, spoken
from torchmann.experiments.experiment import Experiment, Trial
from torchmann.experiments.report import wrapped
from torchmann.experiments.results import Results, identity
from torchmann.experiments.runner import Unit

CPU_HOURS = 2.0
"""That a unit may take on the CPU."""

FILE = "timings.jsonl"
"""Of the timings, below the directory of the records."""


@dataclass(frozen=True)
class Timing:
    """How long a seed of a trial takes.

    Attributes:
        identity: of the configuration.
        seconds: of computing, training with its evaluations.
        accelerator_seconds: what it might take on an accelerator, by a count of operations; not measured.
        device: that it was timed on, and threads.
        date: of the timing.
    """

    identity: str
    seconds: float
    accelerator_seconds: float
    device: str
    date: str


def timing(unit: Unit, found: Estimate) -> Timing:
    """What an estimate says of one seed of a unit."""
    cores = f"{processor()}, {unit.threads} thread{'s' if unit.threads > 1 else ''}"
    seconds = round(found.computing / len(unit.seeds), 1)
    counted = round(accelerator_seconds(unit.config), 1)
    return Timing(identity(unit.config), seconds, counted, cores, date.today().isoformat())


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
        timing: None where it was not timed.
    """

    experiments: tuple[str, ...]
    trial: Trial
    seed: int
    value: float
    timing: Timing | None

    @property
    def seconds(self) -> float:
        """Of CPU time; 0 where it was not timed."""
        return 0.0 if self.timing is None else self.timing.seconds

    @property
    def per_hour(self) -> float:
        """Value for an hour of CPU time; 0 where the time is not known."""
        return 3600 * self.value / self.seconds if self.seconds else 0.0


def value_of(trial: Trial, experiment: Experiment, seeds_done: int) -> float:
    """What another seed of a trial is worth: a point for each claim that it decides, one for a number of the paper or
    half of one for a curve without numbers; divided by one more than the seeds that there are.
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
            if earlier is None:
                found[key] = Queued((experiment.name,), trial, missing[0], value, timings.get(key))
            else:
                named = (*earlier.experiments, experiment.name)
                found[key] = replace(earlier, experiments=named, value=earlier.value + value)
    return sorted(found.values(), key=lambda each: (-each.per_hour, each.experiments, each.trial.key))


def markdown(queued: Sequence[Queued], timings: Mapping[str, Timing]) -> str:
    """The queue as a page."""
    timed = [each for each in queued if each.timing is not None]
    short = [each for each in timed if each.seconds <= 3600 * CPU_HOURS]
    long = [each for each in timed if each.seconds > 3600 * CPU_HOURS]
    unknown = [each for each in queued if each.timing is None]
    devices = ", ".join(sorted({timing.device for timing in timings.values()})) or "none timed yet"
    parts = [
        "# What to run next",
        "Made by `python docs/write_results.py` from the declarations, the records and the timings. A unit is one seed "
        "of one trial; the most valuable for its time comes first. It is run by `torchmann reproduce EXPERIMENT "
        "--models ROW --tasks COLUMN --seeds N`.",
        f"Times on the CPU are those of one thread, from a few timed iterations ({devices}), which other programs "
        "shared the machine with: a quiet one is faster. On two cores two units run at once. Those on an accelerator "
        "are not measured: they count the operations of an iteration in the eager engine and assume "
        f"{1e6 * LAUNCH_SECONDS:g} µs to launch each.",
        f"## Within {CPU_HOURS:g} hours on the CPU: {len(short)} units, {spoken(sum(each.seconds for each in short))}",
        _table(short),
        f"## Longer on the CPU: {len(long)} units, {spoken(sum(each.seconds for each in long))}",
        _table(long),
    ]
    if unknown:
        parts += [f"## Not timed here, mostly for want of their data: {len(unknown)} units", _table(unknown)]
    return "\n\n".join(wrapped(part) for part in parts) + "\n"


def _table(queued: Sequence[Queued]) -> str:
    lines = [
        "| experiments | trial | seed | CPU | accelerator, assumed | value an hour |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for each in queued:
        times = ["", "", ""]
        if each.timing is not None:
            times = [spoken(each.seconds), spoken(each.timing.accelerator_seconds), f"{each.per_hour:.3g}"]
        key = each.trial.key.replace(" | ", ", ")
        lines.append(f"| {', '.join(each.experiments)} | {key} | {each.seed} | {' | '.join(times)} |")
    return "\n".join(lines)
