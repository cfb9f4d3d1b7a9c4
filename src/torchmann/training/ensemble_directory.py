"""The directory of an ensemble: what it is made from, a run's directory for each member, and what they come to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from torchmann.core.atomic import unfinished, write_atomically, writing
from torchmann.core.errors import DataError, OptionError
from torchmann.training.config import Config
from torchmann.training.ensemble_summary import Summary
from torchmann.training.run_directory import CONFIG, ENSEMBLE, RunDirectory, as_json, read_yaml

SUMMARY = "summary.json"


class EnsembleDirectory:
    """Reads and writes what belongs to an ensemble; each of its members is a run like any other, in ``seed_<seed>``.

    Args:
        path: of the directory. `create` makes a new one, `open` takes an existing one.
        config: of the first member.
        seeds: how many members there are; their seeds follow each other.
    """

    def __init__(self, path: str | Path, config: Config, seeds: int) -> None:
        self.path, self.config, self.seeds = Path(path), config, seeds

    @classmethod
    def create(cls, path: str | Path, config: Config, seeds: int, *, overwrite: bool = False) -> EnsembleDirectory:
        """A new directory with those of its members, proved to be writable.

        Args:
            path: to make, parents included; an empty directory will do.
            config: of the first member.
            seeds: how many members there are.
            overwrite: replace the ensemble that is there. A directory that holds anything else is never touched.

        Raises:
            OptionError: the directory is not empty.
            OSError: it cannot be written to.
        """
        made, surplus = cls(path, config, seeds), []
        with writing(made.path):
            made.path.mkdir(parents=True, exist_ok=True)
            if set(made.path.iterdir()) - {unfinished(made.path / ENSEMBLE)}:  # of a process killed just here
                if not (made.path / ENSEMBLE).is_file():
                    raise OptionError(f"{path} is not empty and holds no ensemble: choose another with --output.")
                if not overwrite:
                    raise OptionError(f"{path} holds an ensemble: pass --overwrite to replace it, or another --output.")
                kept = {member.path for member, _ in made.members()}
                surplus = [member for member, _ in cls.open(path).members() if member.path not in kept]
        made.save_config()  # first, for what holds it is an ensemble that can be resumed
        (made.path / SUMMARY).unlink(missing_ok=True)
        for member in surplus:
            member.remove()
        for member, of_member in made.members():
            RunDirectory.create(member.path, of_member, overwrite=overwrite)
        return made

    @classmethod
    def open(cls, path: str | Path) -> EnsembleDirectory:
        """The directory of an earlier ensemble, with those of its members; what a killed process has not made is made.

        Raises:
            DataError: there is no ensemble, or its configuration is damaged.
        """
        if not cls.is_there(path):
            raise DataError(
                f"{path} holds no ensemble (no {ENSEMBLE}): give one that `torchmann train --seeds` has made."
            )
        config, seeds = read_yaml(Path(path) / ENSEMBLE, _config_and_seeds)
        opened = cls(path, config, seeds)
        for member, of_member in opened.members():
            if not (member.path / CONFIG).is_file():
                RunDirectory.create(member.path, of_member)
        return opened

    @staticmethod
    def is_there(path: str | Path) -> bool:
        """Whether a directory is that of an ensemble."""
        return (Path(path) / ENSEMBLE).is_file()

    def members(self) -> list[tuple[RunDirectory, Config]]:
        """The members' directories and configurations, which differ in the seed alone."""
        first = self.config.settings.seed
        return [
            (RunDirectory(self.path / f"seed_{seed}", part_of=self.path), _with_seed(self.config, seed))
            for seed in range(first, first + self.seeds)
        ]

    def save_config(self) -> None:
        """Write or replace the configuration, a file for ``torchmann train --config``."""
        content = self.config.to_dict() | {"seeds": self.seeds}
        write_atomically(self.path / ENSEMBLE, yaml.safe_dump(content, sort_keys=False).encode())

    def write_summary(self, summary: Summary) -> None:
        """Write or replace the summary; numbers that are not finite become null."""
        write_atomically(self.path / SUMMARY, as_json(summary.to_dict()).encode())

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Within this context no other process can train a member.

        Raises:
            OptionError: another process does.
        """
        with ExitStack() as stack:
            for member, _ in self.members():
                stack.enter_context(member.in_use())
            yield


def _config_and_seeds(values: Mapping[str, Any]) -> tuple[Config, int]:
    rest = dict(values)
    seeds = rest.pop("seeds")
    if not isinstance(seeds, int) or seeds < 1:
        raise ValueError(f"seeds is {seeds!r}")
    return Config.from_dict(rest), seeds


def _with_seed(config: Config, seed: int) -> Config:
    return replace(config, settings=replace(config.settings, seed=seed))
