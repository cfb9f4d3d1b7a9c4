"""Experiment: a table or a figure of a paper as data, from which it is run and compared."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torchmann.core.errors import OptionError
from torchmann.experiments.record import Record
from torchmann.training import Choice, Config, RunDirectory, Settings


@dataclass(frozen=True)
class Reported:
    """A number that a paper prints.

    Args:
        value: the number, in the unit of the measure that it is compared by.
        sd: its standard deviation over the paper's runs.
        tolerance: how far a mean of ours may be off and still count as the same number; None: two of the paper's
            standard deviations, and where it has none there is no verdict.
        quoted: the paper has it from elsewhere.
    """

    value: float
    sd: float | None = None
    tolerance: float | None = None
    quoted: bool = False


@dataclass(frozen=True)
class Measure:
    """What a run is judged by.

    Args:
        name: as a column is headed.
        of: finds it in the record of a run; None where the run does not have it.
        unit: of the number as it is shown; ``"%"`` stands for shares that are kept as percentages.
        better: which end is better; None where neither is.
        digits: behind the point.
    """

    name: str
    of: Callable[[Record], float | None]
    unit: str = ""
    better: Literal["higher", "lower"] | None = "higher"
    digits: int = 1

    def show(self, value: float | None) -> str:
        """A value as a table shows it."""
        return "–" if value is None else f"{value:.{self.digits}f}"


@dataclass(frozen=True)
class Trial:
    """One model on one task: a place in a table, or a curve of a figure.

    Args:
        row: the model, as the paper calls it.
        column: the task, as the paper calls it.
        config: of the run; None: it is not run here, and `missing` says why.
        reported: the paper's number; None where it has none, as in figures.
        parameters: how many the paper says that the model has.
        deviations: where the run differs from the paper, a sentence each.
        missing: why there is no configuration.
        note: what else a reader of the table must know.
        measure: by which this place is judged; None is the experiment's.
    """

    row: str
    column: str
    config: Config | None = None
    reported: Reported | None = None
    parameters: int | None = None
    deviations: tuple[str, ...] = ()
    missing: str = ""
    note: str = ""
    measure: Measure | None = None

    def __post_init__(self) -> None:
        if (self.config is None) != bool(self.missing):
            raise OptionError(f"trial {self.key}: give either a config, or why there is none with missing=.")

    @property
    def key(self) -> str:
        """Its name within the experiment."""
        return f"{self.row} | {self.column}"

    @property
    def slug(self) -> str:
        """The key as the name of a directory."""
        return re.sub(r"[^a-z0-9.=+]+", "-", self.key.lower()).strip("-")


@dataclass(frozen=True)
class Claim:
    """What the paper says of two trials: that one is better than the other.

    Args:
        text: the claim in a sentence.
        better: key of the trial that wins, ``"row | column"``.
        worse: key of the trial that loses.
        measure: by which; None is that of the better trial.
    """

    text: str
    better: str
    worse: str
    measure: Measure | None = None


@dataclass(frozen=True)
class Experiment:
    """A table or a figure of a paper.

    Args:
        name: ``"paper/table1"``.
        title: what it shows, in one line.
        source: key of the paper in `torchmann.core.references.REFERENCES`.
        measure: the one that the paper's numbers are of.
        trials: all places of the table.
        seeds: runs of each trial in the paper; where it does not say, 1.
        claims: what the paper concludes.
        measures: others that the report shows.
        curve: the series that the report draws over iterations, e.g. ``"train:bit_accuracy"``.
        notes: what a reader must know of all trials, a sentence each.
        inspect: takes other numbers from a finished run; they become `Record.extra`.
    """

    name: str
    title: str
    source: str
    measure: Measure
    trials: tuple[Trial, ...]
    seeds: int = 1
    claims: tuple[Claim, ...] = ()
    measures: tuple[Measure, ...] = ()
    curve: str = "train:loss"
    notes: tuple[str, ...] = ()
    inspect: Callable[[RunDirectory], Mapping[str, float]] | None = None

    def __post_init__(self) -> None:
        keys = [trial.key for trial in self.trials]
        twice = {key for key in keys if keys.count(key) > 1}
        unknown = {key for claim in self.claims for key in (claim.better, claim.worse)} - set(keys)
        if twice or unknown:
            raise OptionError(f"{self.name}: trials {sorted(twice)} stand twice, claims name {sorted(unknown)}.")

    def trial(self, key: str) -> Trial:
        """The trial of that key."""
        return next(trial for trial in self.trials if trial.key == key)

    def measure_of(self, trial: Trial) -> Measure:
        """What a trial is judged by."""
        return trial.measure or self.measure

    @property
    def runnable(self) -> tuple[Trial, ...]:
        """The trials that have a configuration."""
        return tuple(trial for trial in self.trials if trial.config is not None)


def config(
    task: str | tuple[str, Mapping[str, Any]],
    model: tuple[str, Mapping[str, Any]],
    optimiser: tuple[str, Mapping[str, Any]],
    **settings: Any,
) -> Config:
    """A `Config` from names with keywords."""
    name, options = (task, {}) if isinstance(task, str) else task
    return Config(Choice(name, dict(options)), Choice(*model), Choice(*optimiser), Settings(**settings))
