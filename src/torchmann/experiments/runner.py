"""The runner: what of an experiment is still to be trained, and training it to a record."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, TextIO

import torch

from torchmann.benchmarks.report import processor
from torchmann.core.errors import DataError, OptionError
from torchmann.experiments.experiment import Experiment, Trial
from torchmann.experiments.record import Record, peak_memory, reset_peak_memory, rounded, thinned
from torchmann.experiments.results import Results, identity
from torchmann.experiments.scale import at_scale
from torchmann.training import (
    Config,
    Ensemble,
    EnsembleDirectory,
    Measurement,
    RunDirectory,
    resume_ensemble,
    resume_run,
    train_ensemble,
    train_run,
)
from torchmann.training.ensemble_summary import scores_in
from torchmann.training.run import training_of
from torchmann.training.run_directory import CONFIG, EVALUATION, versions
from torchmann.training.signals import interrupted_after


@dataclass(frozen=True)
class Unit:
    """Seeds of one trial that are trained in one go.

    Args:
        experiment: its name.
        trial: which place of it.
        scale: how much of it.
        seeds: following each other.
        directory: where they are trained.
        device: on what, ``"cpu"`` or ``"cuda"``.
        threads: of the CPU.
    """

    experiment: str
    trial: Trial
    scale: str
    seeds: tuple[int, ...]
    directory: Path
    device: str = "cpu"
    threads: int = 1

    @property
    def config(self) -> Config:
        """Of the first seed."""
        assert self.trial.config is not None, self.trial.missing
        scaled = at_scale(self.trial.config, self.scale)
        placed: dict[str, Any] = {"device": self.device, "threads": self.threads, "seed": self.seeds[0]}
        return replace(scaled, settings=replace(scaled.settings, **placed))

    @property
    def name(self) -> str:
        """For people."""
        several = f"{self.seeds[0]}-{self.seeds[-1]}" if len(self.seeds) > 1 else str(self.seeds[0])
        return f"{self.experiment}: {self.trial.key}, seed{'s' if len(self.seeds) > 1 else ''} {several}"

    def single(self) -> list[Unit]:
        """The same, a seed each."""
        return [replace(self, seeds=(seed,), directory=self.directory.parent / f"seed-{seed}") for seed in self.seeds]


def pending(
    experiment: Experiment,
    scale: str,
    results: Results,
    output: Path,
    *,
    seeds: Sequence[int],
    trials: Sequence[Trial],
    device: str = "cpu",
    threads: int = 1,
) -> list[Unit]:
    """What is still to be trained: for each trial the seeds that have no record, in runs of seeds that follow.

    Of trials with one configuration, places of one run, it is the first.
    """
    units, configurations = [], set()
    for trial in trials:
        if trial.config is None or (configuration := identity(trial.config)) in configurations:
            continue
        configurations.add(configuration)
        have = {record.seed for record in results.of(trial, scale)}
        for following in _following([seed for seed in seeds if seed not in have]):
            name = f"seeds-{following[0]}-{following[-1]}" if len(following) > 1 else f"seed-{following[0]}"
            directory = output / experiment.name / scale / trial.slug / name
            units.append(Unit(experiment.name, trial, scale, following, directory, device, threads))
    return units


def _following(seeds: Sequence[int]) -> list[tuple[int, ...]]:
    """Seeds in groups that follow each other without a gap."""
    groups: list[list[int]] = []
    for seed in sorted(seeds):
        if groups and groups[-1][-1] == seed - 1:
            groups[-1].append(seed)
        else:
            groups.append([seed])
    return [tuple(group) for group in groups]


def ready(units: Sequence[Unit]) -> tuple[list[Unit], list[tuple[Unit, DataError]]]:
    """The units that can be trained, and those whose data is missing or damaged, with what is wrong.

    A unit of several seeds becomes one for each seed where the model or its training is for one seed at a time.

    Raises:
        OptionError: a configuration that cannot be built.
    """
    found: list[Unit] = []
    lacking: list[tuple[Unit, DataError]] = []
    for unit in units:
        try:
            found += [unit] if _together(unit) else unit.single()
        except DataError as error:
            lacking.append((unit, error))
    return found, lacking


def _together(unit: Unit) -> bool:
    """Whether a unit is trained in one go; its task and its model are built, which asks for all their data."""
    training = training_of(unit.config)
    if len(unit.seeds) == 1:
        return True
    try:
        Ensemble([training])
    except OptionError:
        return False
    return True


def run(unit: Unit, experiment: Experiment, seconds: float | None = None) -> list[Record]:
    """Train a unit, or go on with it, to its records; none if it was interrupted. Shows nothing.

    Args:
        unit: what to train.
        experiment: it belongs to.
        seconds: ask it to end after so long; it goes on from there the next time.

    Raises:
        OptionError: the directory holds a run of another configuration.
        DataError: the task's data, or a file of the earlier session, is missing or damaged.
        OSError: the disk is full, say.
        FloatingPointError: the loss is not finite.
    """
    stream = io.StringIO()
    reset_peak_memory()
    if unit.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    with interrupted_after(seconds):
        finished = _train_together(unit, stream) if len(unit.seeds) > 1 else _train_alone(unit, stream)
    return [_record(unit, experiment, directory) for directory in finished]


def _train_alone(unit: Unit, stream: TextIO) -> list[RunDirectory]:
    """Train one seed; its directory if it has come to its end."""
    directory, path = RunDirectory(unit.directory), unit.directory
    if (path / CONFIG).is_file():
        _require_same(directory.config(), unit)
        if (path / EVALUATION).is_file():
            return [directory]
        outcome = resume_run(path, stream=stream)
    else:
        outcome = train_run(unit.config, path, stream=stream)
    return [] if outcome.evaluation is None else [directory]


def _train_together(unit: Unit, stream: TextIO) -> list[RunDirectory]:
    """Train several seeds at once; the directories of those that have come to their ends."""
    if EnsembleDirectory.is_there(unit.directory):
        opened = EnsembleDirectory.open(unit.directory)
        _require_same(opened.config, unit)
        ended = all((member.path / EVALUATION).is_file() for member, _ in opened.members())
        done = ended or resume_ensemble(unit.directory, stream=stream).summary is not None
    else:
        opened = EnsembleDirectory(unit.directory, unit.config, len(unit.seeds))
        done = train_ensemble(unit.config, len(unit.seeds), unit.directory, stream=stream).summary is not None
    return [member for member, _ in opened.members() if (member.path / EVALUATION).is_file()] if done else []


def _require_same(stored: Config, unit: Unit) -> None:
    if stored != Config.from_dict(unit.config.to_dict()):
        raise OptionError(
            f"{unit.directory} holds a run of {unit.name} with another configuration, of another version perhaps: "
            "move it away, or give another --output."
        )


def _record(unit: Unit, experiment: Experiment, directory: RunDirectory) -> Record:
    """What is kept of a finished run."""
    config, model = directory.config(), training_of(directory.config())
    ended = directory.read_json(EVALUATION)
    found = {} if experiment.inspect is None else experiment.inspect(directory)
    on_gpu = unit.device == "cuda"
    cores = f"{processor()}, {unit.threads} thread{'s' if unit.threads > 1 else ''}"
    return Record(
        experiment=unit.experiment,
        trial=unit.trial.key,
        seed=config.settings.seed,
        scale=unit.scale,
        config=config.to_dict(),
        stopped=ended["stopped"],
        iteration=ended["iteration"],
        seconds=round(ended["seconds"], 1),
        together=len(unit.seeds),
        scores=_rounded_scores(scores_in(directory.path)),
        curves=curves_of(directory.measurements()),
        parameters=sum(parameter.numel() for parameter in model.parameters),
        peak_bytes=torch.cuda.max_memory_allocated() if on_gpu else peak_memory(),
        versions=versions(),
        device=torch.cuda.get_device_name() if on_gpu else cores,
        date=date.today().isoformat(),
        extra={name: value for name, number in found.items() if (value := rounded(number)) is not None},
    )


def _rounded_scores(scores: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    return {
        label: {name: value for name, number in named.items() if (value := rounded(number, 7)) is not None}
        for label, named in scores.items()
    }


def curves_of(measurements: Sequence[Measurement]) -> dict[str, dict[str, list[float | None]]]:
    """Measurements as curves: for each split the iterations, the loss and every score."""
    curves: dict[str, dict[str, list[float | None]]] = {}
    for split in dict.fromkeys(measurement.split for measurement in measurements):
        lines = thinned([measurement for measurement in measurements if measurement.split == split])
        names = dict.fromkeys(name for line in lines for name in line.scores)
        curves[split] = {
            "iteration": [line.iteration for line in lines],
            "loss": [rounded(line.loss) for line in lines],
            **{name: [rounded(line.scores.get(name)) for line in lines] for name in names},
        }
    return curves


class Budget:
    """Time that is left.

    Args:
        hours: in all; None has no end.
    """

    def __init__(self, hours: float | None) -> None:
        self._end = None if hours is None else time.monotonic() + 3600 * hours

    @property
    def left(self) -> float | None:
        """Seconds, at least 0; None has no end."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())


def run_all(
    units: Sequence[Unit], experiment: Experiment, budget: Budget
) -> Iterator[tuple[Unit, list[Record] | Exception]]:
    """Train units one after another while the budget lasts; what each came to, as it ends.

    A unit whose data is missing, or whose loss is not finite, gives its error, and the others are trained. A unit that
    was interrupted gives no records and is the last one.
    """
    for unit in units:
        left = budget.left
        if left is not None and left <= 0:
            return
        try:
            records = run(unit, experiment, left)
        except (DataError, FloatingPointError) as error:
            yield unit, error
            continue
        yield unit, records
        if not records:
            return
