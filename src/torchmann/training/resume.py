"""Going on with a run that was stopped, by whatever."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

import yaml  # type: ignore[import-untyped]

from torchmann.core.errors import DataError, OptionError
from torchmann.training.config import Config
from torchmann.training.loop import Training
from torchmann.training.run import Outcome, only_writer, stream_of, train_in, training_of
from torchmann.training.run_directory import EVALUATION, RunDirectory, versions

PARTS = {"training", "config", "processes", "versions", "metrics_bytes"}
"""Of a checkpoint."""

FREE = {"iterations", "max_seconds", "solved_at", "patience", "checkpoint_every", "keep_every", "tensorboard"}
"""Settings that may differ from those of the checkpoint: they decide when to stop and what to keep, and no number."""


def resume_run(
    path: str | Path, *, iterations: int | None = None, max_seconds: float | None = None, stream: TextIO | None = None
) -> Outcome:
    """Go on with a run from its newest good checkpoint, or from the beginning if it was stopped before the first.

    On one CPU thread its metrics become those that it would have had without the interruption, but for the time.

    Args:
        path: directory of the run.
        iterations: a new limit in place of the run's own.
        max_seconds: likewise; the seconds of the earlier sessions count.
        stream: where progress is shown; None is standard output.

    Raises:
        OptionError: the run has ended, its configuration was changed, another process trains it, or the number of
            processes is another.
        DataError: there is no run, all its checkpoints are damaged, or lines of its metrics are lost.
        OSError: the directory cannot be written to.
        FloatingPointError: the loss is not finite.
    """
    directory = RunDirectory.open(path)
    stored = directory.config()
    limits = {"iterations": iterations, "max_seconds": max_seconds}
    changes: dict[str, Any] = {name: value for name, value in limits.items() if value is not None}
    config = replace(stored, settings=replace(stored.settings, **changes))
    training = training_of(config)
    stream = stream_of(training.processes, stream)
    with only_writer(directory, training.processes):
        restore(training, directory, config, stream)
        if training.processes.first and changes:
            directory.save_config(config)
        return train_in(directory, training, config, stream)


def restore(training: Training, directory: RunDirectory, config: Config, stream: TextIO) -> None:
    """Bring `training` and the files of the run to the state of the newest good checkpoint."""

    def tell(line: str) -> None:
        print(line, file=stream)

    checkpoint = load_newest(training, directory, config, tell)
    if has_ended(training, directory):
        raise OptionError(ended(directory.path, training.iteration, training.stopped))
    if training.iteration:
        tell(f"going on with {directory.path} after iteration {training.iteration}")
    if training.processes.first:
        settle(directory, checkpoint)


def load_newest(
    training: Training,
    directory: RunDirectory,
    config: Config,
    tell: Callable[[str], None],
    most: int | None = None,
) -> Mapping[str, Any]:
    """Bring `training` to the state of the newest good checkpoint, which is returned.

    Args:
        training: at its beginning.
        directory: of its run.
        config: of its run.
        tell: takes a line for each thing that one might want to know.
        most: of the checkpoints up to this iteration; None: of all.
    """
    checkpoint = directory.checkpoints.newest(tell, most)
    if checkpoint is None:
        tell(f"{directory.path} has no checkpoint yet: it starts from the beginning.")
        return {"metrics_bytes": 0}
    if not isinstance(checkpoint, dict) or not checkpoint.keys() >= PARTS:
        raise DataError(f"{directory.checkpoints.directory} holds a file that is no checkpoint of a run.")
    check(checkpoint, directory, config, training.processes.count)
    training.load_state_dict(checkpoint["training"])
    for package, version in versions().items():
        if version != (before := checkpoint["versions"].get(package)):
            tell(f"{package} was {before} and is {version}: numbers may differ from an uninterrupted run's.")
    return checkpoint


def has_ended(training: Training, directory: RunDirectory) -> bool:
    """Whether a run has come to its end, its evaluation included."""
    return training.stopped is not None and (directory.path / EVALUATION).is_file()


def ended(path: Path, iteration: int, stopped: str | None) -> str:
    """Why a run cannot go on, and how it could."""
    return (
        f"{path} has ended after {iteration} iterations ({stopped}): "
        "to train on, raise the limit with --iterations or --max_seconds."
    )


def settle(directory: RunDirectory, checkpoint: Mapping[str, Any]) -> None:
    """Bring the files of a run to the state of a checkpoint."""
    directory.prepare()
    directory.cut_metrics(checkpoint["metrics_bytes"])
    (directory.path / EVALUATION).unlink(missing_ok=True)


def check(checkpoint: Mapping[str, Any], directory: RunDirectory, config: Config, processes: int) -> None:
    """Raise `OptionError` where the numbers could not become those of the uninterrupted run."""
    if checkpoint["processes"] != processes:
        raise OptionError(
            f"{directory.path} was trained by {checkpoint['processes']} processes, and these are {processes}: "
            f"resume it with torchrun --nproc_per_node {checkpoint['processes']}."
        )
    before, now = yaml.safe_load(checkpoint["config"]), yaml.safe_load(yaml.safe_dump(config.to_dict()))
    changed = [name for name in before if name in now and before[name] != now[name] and name not in FREE]
    if changed:
        raise OptionError(
            f"the configuration of {directory.path} was changed since its last checkpoint ({', '.join(changed)}): "
            f"change it back, or start a new run."
        )
