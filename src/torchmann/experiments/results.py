"""Results: the records below a directory, and which of them belong to a trial.

Records belong together by what was run: a trial of one figure counts the runs of another that has the same
configuration.
"""

from __future__ import annotations

import json
from functools import cache, cached_property
from pathlib import Path

from torchmann.core.errors import DataError
from torchmann.experiments.experiment import Experiment, Trial
from torchmann.experiments.record import Record, Records
from torchmann.experiments.scale import at_scale
from torchmann.training import Config

FREE = ("seed", "threads", "device", "tensorboard", "max_seconds", "checkpoint_every", "keep_every")
"""What may differ between runs of one trial: it changes no number but the seed's."""


def identity(config: Config) -> str:
    """What makes runs comparable, as a text: a configuration without `FREE`."""
    return json.dumps({name: value for name, value in config.to_dict().items() if name not in FREE}, sort_keys=True)


@cache
def _stored_identity(text: str) -> str | None:
    """The identity of a record's configuration; None where this version does not know it."""
    try:
        return identity(Config.from_dict(json.loads(text)))  # settings that are newer than the record get defaults
    except (KeyError, TypeError, ValueError):
        return None


def identity_of_record(record: Record) -> str | None:
    """The identity of what a record is of; None where this version does not know its configuration."""
    return _stored_identity(json.dumps(record.config))


class Results:
    """All records below a directory, read once.

    Args:
        directory: such as ``results``; it need not exist.

    Raises:
        DataError: a file holds a line that is no record of this version; when they are read.
    """

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory)

    @cached_property
    def records(self) -> list[Record]:
        """The records of all experiments."""
        found = []
        for path in sorted(self.directory.glob("*/*.jsonl")):
            found += Records(self.directory, f"{path.parent.name}/{path.stem}").read()
        return found

    def of(self, trial: Trial, scale: str) -> list[Record]:
        """The records of a trial at a scale, one for each seed, in the seeds' order."""
        if trial.config is None:
            return []
        asked = identity(at_scale(trial.config, scale))
        found: dict[int, Record] = {}
        for record in self.records:
            if record.scale == scale and identity_of_record(record) == asked:
                found.setdefault(record.seed, record)
        return [found[seed] for seed in sorted(found)]

    def stale(self, experiment: Experiment, scale: str) -> list[Record]:
        """The records under the experiment's name that are not of its trials as they are declared now."""
        declared = {trial.key: trial.config for trial in experiment.trials}
        mine = [record for record in self.records if record.experiment == experiment.name and record.scale == scale]
        return [
            record
            for record in mine
            if (now := declared.get(record.trial)) is None
            or identity(at_scale(now, scale)) != identity_of_record(record)
        ]

    def add(self, record: Record) -> None:
        """Keep a record, in its experiment's file."""
        Records(self.directory, record.experiment).add(record)
        self.records[:] = [earlier for earlier in self.records if _place(earlier) != _place(record)] + [record]


def _place(record: Record) -> tuple[str, tuple[str, str, int]]:
    return record.experiment, record.key


def require_readable(directory: str | Path) -> Results:
    """The results below a directory, read now.

    Raises:
        DataError: a line is no record of this version.
        OSError: a file cannot be read.
    """
    results = Results(directory)
    if results.directory.exists() and not results.directory.is_dir():
        raise DataError(f"{directory} is a file: give the directory of the records with --results.")
    _ = results.records
    return results
