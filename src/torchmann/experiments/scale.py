"""Scales: how much of an experiment is run, from a check that it runs to all that the paper did."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, get_args

from torchmann.core.errors import unknown_name
from torchmann.experiments.experiment import Experiment
from torchmann.training import Config

Scale = Literal["smoke", "short", "full"]

SHORTER = 10
"""A short run has one iteration for so many of the full one."""

SHORT_SEEDS = 2


def require_scale(scale: str) -> None:
    """Raise `OptionError` unless there is such a scale."""
    if scale not in get_args(Scale):
        raise unknown_name("scale", scale, get_args(Scale))


def at_scale(config: Config, scale: str) -> Config:
    """A trial's configuration at a scale.

    ``"full"`` is the declared one. ``"short"`` has a tenth of its iterations, and of those between two evaluations.
    ``"smoke"`` trains two iterations on batches of two sequences, which shows that all of it runs, and nothing else.
    The sizes of model and task are the declared ones at every scale.
    """
    settings = config.settings
    if scale == "smoke":
        often: dict[str, Any] = {"iterations": 2, "log_every": 1, "evaluate_every": 2, "checkpoint_every": 2}
        rows: dict[str, Any] = {"batch_size": min(2, settings.batch_size), "evaluation_batch_size": 2}
        settings = replace(settings, **often, **rows, evaluation_batches=1, test_batches=1)
    elif scale == "short":
        names = ("iterations", "log_every", "evaluate_every", "checkpoint_every")
        fewer: dict[str, Any] = {name: -(-getattr(settings, name) // SHORTER) for name in names}
        settings = replace(settings, **fewer)
    return replace(config, settings=replace(settings, keep_every=None))


def seeds_at(experiment: Experiment, scale: str) -> int:
    """How many runs of each trial there are at a scale, unless the caller says."""
    return {"smoke": 1, "short": min(SHORT_SEEDS, experiment.seeds)}.get(scale, experiment.seeds)
