"""Sweep: one configuration at many points, each for several seeds, in one directory.

A sweep's directory holds ``sweep.yaml``, which says what it is, and ``runs/<point>/seed_<seed>``, a run each like any
other. What has been done so far is read from these runs, so a sweep can be stopped at any moment.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from torchmann.core.atomic import write_atomically, writing
from torchmann.core.errors import DataError, OptionError, ShapeError
from torchmann.experiments.sweeps.search import Values
from torchmann.experiments.workers.job import Job
from torchmann.training import Config, resume_run, train_run
from torchmann.training.run import training_of
from torchmann.training.run_directory import CASE, CONFIG, EVALUATION, read_yaml

SWEEP = "sweep.yaml"

LONGEST = 120
"""Characters of a point's directory; file systems take twice as many."""


@dataclass(frozen=True)
class Point:
    """A place of the search.

    Args:
        values: the flags that are tried, as typed.
        config: of its first seed.
    """

    values: Values
    config: Config

    @property
    def name(self) -> str:
        """The values, for people."""
        return " ".join(f"{flag}={value}" for flag, value in self.values.items())

    @property
    def directory(self) -> str:
        """The name as that of a directory, with a mark where some of it had to go."""
        name = ",".join(f"{flag}={value}" for flag, value in self.values.items())
        plain = re.sub(r"[^A-Za-z0-9._=+,-]+", "-", name)
        if plain == name and len(name) <= LONGEST:
            return name
        return f"{plain[:LONGEST]}-{hashlib.blake2b(name.encode(), digest_size=4).hexdigest()}"


@dataclass(frozen=True)
class Run:
    """One seed of a point.

    Args:
        point: it belongs to.
        config: with its seed.
        path: of its directory.
    """

    point: Point
    config: Config
    path: Path

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.point.name} seed={self.config.settings.seed}"

    @property
    def log(self) -> Path:
        """What it prints, beside its directory."""
        return self.path.with_suffix(".log")

    @property
    def ended(self) -> bool:
        """It has been evaluated, or came to a number that is not finite, as it would again."""
        return (self.path / EVALUATION).is_file() or self.failed

    @property
    def failed(self) -> bool:
        """It came to a number that is not finite."""
        return (self.path / CASE).is_file() and not (self.path / EVALUATION).is_file()

    def job(self) -> Job:
        """Training it, or going on with it."""
        return Job(self.name, train_or_resume, (self.config, self.path), self.log)


@dataclass(frozen=True)
class Sweep:
    """All points, each for the same number of seeds.

    Args:
        path: of its directory.
        points: what is tried.
        seeds: runs of each point; their seeds follow each other.
    """

    path: Path
    points: Sequence[Point]
    seeds: int

    @classmethod
    def open(cls, path: str | Path) -> Sweep:
        """An earlier sweep.

        Raises:
            DataError: there is none, or its file is damaged.
        """
        path = Path(path)
        if not (path / SWEEP).is_file():
            raise DataError(f"{path} holds no sweep (no {SWEEP}): give a directory that `torchmann sweep` has made.")
        return read_yaml(path / SWEEP, lambda content: cls(path, *_from_dict(content)))

    def save(self) -> None:
        """Make the directory, or add points and seeds to the sweep that is there.

        Raises:
            OptionError: the directory holds something else, or a sweep with points that this one does not have.
            OSError: it cannot be written to.
        """
        with writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            if (self.path / SWEEP).is_file():
                self._require_extension(Sweep.open(self.path))
            elif any(self.path.iterdir()):
                raise OptionError(f"{self.path} is not empty and holds no sweep: choose another with --output.")
        write_atomically(self.path / SWEEP, yaml.safe_dump(self.to_dict(), sort_keys=False).encode())

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for the file."""
        points = [{"values": dict(point.values), "config": point.config.to_dict()} for point in self.points]
        return {"seeds": self.seeds, "points": points}

    def check(self) -> None:
        """Build everything once, in this process, and throw it away.

        Raises:
            OptionError: a value that is not allowed; the message begins with its point.
            DataError: the data of a task is missing.
        """
        for point in self.points:
            try:
                training_of(point.config)
            except (OptionError, ShapeError) as error:
                raise OptionError(f"at {point.name}: {error}") from error

    def runs(self) -> Iterator[Run]:
        """All runs, the first seed of every point first."""
        for number in range(self.seeds):
            for point in self.points:
                yield self._run(point, number)

    def runs_of(self, point: Point) -> list[Run]:
        """The runs of a point, in the order of their seeds."""
        return [self._run(point, number) for number in range(self.seeds)]

    def _run(self, point: Point, number: int) -> Run:
        seed = point.config.settings.seed + number
        config = replace(point.config, settings=replace(point.config.settings, seed=seed))
        return Run(point, config, self.runs_directory(point) / f"seed_{seed}")

    def runs_directory(self, point: Point) -> Path:
        """Where the runs of a point are; absolute, for other processes may have other working directories."""
        return self.path.resolve() / "runs" / point.directory

    def _require_extension(self, stored: Sweep) -> None:
        given = {point.name: _plain(point.config) for point in self.points}
        differs = [point.name for point in stored.points if given.get(point.name) != _plain(point.config)]
        if differs or stored.seeds > self.seeds:
            what = f"it has {differs[0]} in another form" if differs else f"its points have {stored.seeds} seeds each"
            raise OptionError(
                f"{self.path} holds another sweep ({what}): go on with it by --resume {self.path}, or choose another "
                "--output."
            )


def require_distinct(points: Sequence[Point]) -> None:
    """Raise `OptionError` where two points have the same configuration."""
    names: dict[str, str] = {}
    for point in points:
        other = names.setdefault(repr(point.config.to_dict()), point.name)
        if other != point.name:
            raise OptionError(f"--grid has the same run twice, as {other} and as {point.name}: leave one out.")


def train_or_resume(config: Config, path: Path) -> bool:
    """Train a run, or go on with it from its newest checkpoint; whether it came to its end.

    Raises:
        OptionError: another process trains it.
        DataError: the task's data, or a file of the earlier session, is missing or damaged.
        OSError: the directory cannot be written to.
        FloatingPointError: the loss is not finite.
    """
    begun = (path / CONFIG).is_file()
    outcome = resume_run(path) if begun else train_run(config, path)
    return outcome.evaluation is not None


def _from_dict(content: Mapping[str, Any]) -> tuple[list[Point], int]:
    points = [Point(dict(point["values"]), Config.from_dict(point["config"])) for point in content["points"]]
    if not isinstance(content["seeds"], int) or content["seeds"] < 1 or not points:
        raise ValueError(f"{content['seeds']!r} seeds, {len(points)} points")
    return points, content["seeds"]


def _plain(config: Config) -> Any:
    """A configuration as it comes back from a file."""
    return yaml.safe_load(yaml.safe_dump(config.to_dict()))
