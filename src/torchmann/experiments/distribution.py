"""Units on a pool: several at a time, on this machine or on others."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from torchmann.experiments import catalogue
from torchmann.experiments.experiment import Experiment
from torchmann.experiments.record import Record
from torchmann.experiments.runner import Budget, Unit, run
from torchmann.experiments.workers.job import Job
from torchmann.experiments.workers.pool import run_jobs


class LostError(RuntimeError):
    """A unit failed in another process, or its process was killed; the message says how to go on."""


def run_in_pool(
    units: Sequence[Unit],
    budget: Budget,
    backend: str = "local",
    *,
    workers: int = 1,
    folder: str | Path = "slurm",
    options: Mapping[str, Any] | None = None,
) -> Iterator[tuple[Unit, list[Record] | Exception]]:
    """Train units while the budget lasts, several at a time; what each came to, as it ends.

    A unit that fails, or whose process is killed, gives an error, and the others are trained. One that was interrupted
    gives no records.

    Args:
        units: of experiments of the catalogue, begun in this order.
        budget: time that is left.
        backend: as `run_jobs` takes it, like the others.
        workers: units at a time.
        folder: for the files of Slurm's jobs.
        options: of each job on Ray or Slurm.

    Raises:
        OptionError: as `run_jobs`.
        KeyboardInterrupt: after Ctrl-C, when the units under way have been stopped.
    """
    left = budget.left
    until = None if left is None else time.time() + left
    by_name = {unit.name: unit for unit in units}
    threads = max((unit.threads for unit in units), default=1)
    jobs = [job_of(unit, until) for unit in units]
    for ended in run_jobs(jobs, backend, workers=workers, threads=threads, folder=folder, options=options):
        yield by_name[ended.job.name], ended.result if ended.error is None else LostError(ended.error)


def job_of(unit: Unit, until: float | None) -> Job:
    """A unit as a job, which names its experiment, because a measure cannot be sent to another process."""
    place = (str(unit.directory.absolute()), unit.device, unit.threads)
    arguments = (unit.experiment, unit.trial.key, unit.scale, unit.seeds, *place, until)
    return Job(unit.name, train_named, arguments)


def train_named(
    name: str,
    key: str,
    scale: str,
    seeds: tuple[int, ...],
    directory: str,
    device: str,
    threads: int,
    until: float | None,
) -> list[Record]:
    """Train a unit in this process, to its records; none if it was interrupted or its time is over.

    Args:
        name: of the experiment in the catalogue.
        key: of the trial in it.
        scale, seeds, directory, device, threads: as in `Unit`.
        until: when to end, in seconds of `time.time`; None has no end.
    """
    experiment: Experiment = catalogue.find(name)
    unit = Unit(name, experiment.trial(key), scale, seeds, Path(directory), device, threads)
    left = None if until is None else until - time.time()
    return [] if left is not None and left <= 0 else run(unit, experiment, left)
