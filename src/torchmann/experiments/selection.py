"""Which trials of an experiment are asked for, by the names of rows and columns."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatch

from torchmann.core.errors import OptionError
from torchmann.experiments.experiment import Experiment, Trial


def chosen(experiment: Experiment, models: Sequence[str] | None, tasks: Sequence[str] | None) -> list[Trial]:
    """The trials that can be run, of the rows and columns that are asked for; None asks for all.

    Args:
        experiment: to choose from.
        models: names of rows in any case, in which ``*`` stands for any letters.
        tasks: likewise of columns.

    Raises:
        OptionError: a name that nothing matches; lists what there is.
    """
    for asked, flag, known in (
        (models, "models", [trial.row for trial in experiment.runnable]),
        (tasks, "tasks", [trial.column for trial in experiment.runnable]),
    ):
        for name in asked or ():
            if not any(_matches(each, [name]) for each in known):
                there = ", ".join(dict.fromkeys(known))
                raise OptionError(f"{experiment.name} runs nothing that --{flag} {name!r} names; it has {there}.")
    return [trial for trial in experiment.runnable if _matches(trial.row, models) and _matches(trial.column, tasks)]


def _matches(name: str, patterns: Sequence[str] | None) -> bool:
    return patterns is None or any(fnmatch(name.lower(), pattern.lower()) for pattern in patterns)
