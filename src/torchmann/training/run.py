"""A whole run: from a configuration to a directory with metrics, checkpoints, weights and a final evaluation."""

from __future__ import annotations

import io
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import yaml  # type: ignore[import-untyped]
from torch import nn

from torchmann.models import SequenceModel
from torchmann.tasks import Task
from torchmann.training.config import Config
from torchmann.training.curriculum import curriculum_from
from torchmann.training.evaluate import Evaluation, final_evaluation
from torchmann.training.forensics import NotFiniteError
from torchmann.training.intervals import CONFIDENCE, METHOD
from torchmann.training.loop import Training
from torchmann.training.processes import Processes
from torchmann.training.progress import progress_of
from torchmann.training.replay import save_case
from torchmann.training.run_directory import CASE, EVALUATION, RunDirectory, default_path, versions
from torchmann.training.settings import Settings, device_named
from torchmann.training.signals import interruptible
from torchmann.training.tensorboard import event_log, require_tensorboard
from torchmann.training.threads import use_threads, with_threads


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        directory: of the run.
        stopped: ``"solved"``, ``"patience"``, ``"iterations"``, ``"time"`` or ``"interrupted"``.
        iteration: training steps done.
        seconds: of training, evaluations on the way included.
        evaluation: what `final_evaluation` found; None if the run was interrupted, and in a process that is not the
            first.
        first: this process is the first of the run's, the one that writes.
    """

    directory: RunDirectory
    stopped: str | None
    iteration: int
    seconds: float
    evaluation: dict[str, Evaluation] | None
    first: bool = True


def train_run(
    config: Config, output: str | Path | None = None, *, overwrite: bool = False, stream: TextIO | None = None
) -> Outcome:
    """Train as `config` says; in several processes if ``torchrun`` has started them.

    The first Ctrl-C or SIGTERM ends it after the iteration under way. Whatever ends it, `resume_run` goes on.

    Args:
        config: what to train, on what, and how.
        output: directory of the run; None makes a new one below ``runs``.
        overwrite: replace a run that is in `output`.
        stream: where progress is shown; None is standard output.

    Raises:
        OptionError: a bad name or option, or an `output` that is taken.
        DataError: the task's data is missing or damaged.
        OSError: the directory cannot be written to.
        FloatingPointError: the loss is not finite.
    """
    config = with_threads(config, lambda tried: training_of(tried).step, stream or sys.stdout)
    training = training_of(config)
    stream = stream_of(training.processes, stream)
    directory = RunDirectory(default_path(config) if output is None else output)
    if training.processes.first:
        RunDirectory.create(directory.path, config, overwrite=overwrite)
    with only_writer(directory, training.processes):
        count = sum(parameter.numel() for parameter in training.parameters)
        print(
            f"training {config.model.name} ({count:,} parameters) on {config.task.name}: {directory.path}", file=stream
        )
        return train_in(directory, training, config, stream)


def training_of(config: Config) -> Training:
    """The training that `config` describes, in this process, at its beginning."""
    use_threads(config.settings.threads)
    if config.settings.tensorboard:
        require_tensorboard()
    task = config.build_task()
    model = config.build_model(task)
    text, processes = config.settings.curriculum, Processes.of_torchrun()
    curriculum = None if text is None else curriculum_from(text, config.task, seed=config.settings.seed)
    optimiser = config.build_optimiser(model)
    return Training(model, task, optimiser, config.settings, curriculum=curriculum, processes=processes)


def train_in(directory: RunDirectory, training: Training, config: Config, stream: TextIO) -> Outcome:
    """Train from where `training` is to its end, and keep all of it in `directory`."""
    writes = training.processes.first
    training.keep = lambda training: keep(directory, training, config)
    with (
        saving_the_case(directory, config, training.processes),
        interruptible(training),
        progress_of(training, stream) as progress,
        event_log(directory, training) as log,
    ):
        for measurement in training:
            if writes:
                with resumable(directory):
                    directory.record(measurement)
                    log(measurement)
            progress.show(measurement)
    seconds, evaluation = training.seconds, None
    if training.stopped == "interrupted":
        print(f"stopped after iteration {training.iteration}; go on with: {resumption(directory)}", file=stream)
    elif writes:
        evaluation = finish(directory, training, config.settings, seconds)
    training.processes.wait()
    return Outcome(directory, training.stopped, training.iteration, seconds, evaluation, writes)


def keep(directory: RunDirectory, training: Training, config: Config) -> None:
    """Write a checkpoint, and the weights for those who look at the run meanwhile."""
    content = {
        "training": training.state_dict(),
        "config": yaml.safe_dump(config.to_dict()),
        "processes": training.processes.count,
        "versions": versions(),
    }
    if training.processes.first:
        with resumable(directory):
            content["metrics_bytes"] = directory.settle_metrics()
            directory.save_weights(training.model)  # first: a run killed in between does the last iterations again
            directory.checkpoints.save(
                training.iteration, content, best=training.best.iteration, keep_every=config.settings.keep_every
            )


def finish(directory: RunDirectory, training: Training, settings: Settings, seconds: float) -> dict[str, Evaluation]:
    """The final evaluation, of the best weights where training had patience, of the last ones otherwise."""
    if settings.patience is not None and training.best.iteration:
        best = directory.checkpoints.load(training.best.iteration)
        training.model.load_state_dict(best["training"]["model"])
        directory.save_weights(training.model)
    evaluation = evaluate_finally(training.model, training.task, settings)
    found = {label: result._asdict() for label, result in evaluation.items()}
    ended = {"stopped": training.stopped, "iteration": training.iteration, "seconds": seconds}
    measured = {"metric": training.task.metric, "confidence": CONFIDENCE, "interval_method": METHOD}
    directory.write_json(EVALUATION, {**ended, **measured, "results": found})
    return evaluation


def load_run(directory: RunDirectory) -> tuple[Config, Task, SequenceModel]:
    """The configuration, task and trained model of an earlier run; the model is on the CPU.

    Raises:
        DataError: a file of the run is missing or damaged, or the task's data is.
    """
    config = directory.config()
    task = config.build_task()
    model = config.build_model(task)
    directory.load_weights(model)
    return config, task, model


def evaluate_finally(model: nn.Module, task: Task, settings: Settings) -> dict[str, Evaluation]:
    """`final_evaluation` with the sizes and the device of `settings`."""
    device = device_named(settings.device)
    return final_evaluation(
        model.to(device),
        task,
        batch_size=settings.evaluation_batch_size,
        batches=settings.evaluation_batches,
        test_batches=settings.test_batches,
        device=device,
    )


def resumption(directory: RunDirectory) -> str:
    """The command that goes on with a run, and with the other members of its ensemble."""
    return f"torchmann train --resume {shlex.quote(str(directory.part_of or directory.path))}"


@contextmanager
def saving_the_case(directory: RunDirectory, config: Config, processes: Processes) -> Iterator[None]:
    """Within this context a `NotFiniteError` in all processes leaves a file to replay it with, and says so."""
    try:
        yield
    except NotFiniteError as error:
        if error.case is None:
            raise
        path = directory.path / CASE
        if processes.first:
            save_case(path, error.case, config)
        processes.agree(True)  # wait for each other, because the first process to fail ends them all
        raise FloatingPointError(f"{error} To see it again: torchmann replay-nan {shlex.quote(str(path))}") from error


@contextmanager
def resumable(directory: RunDirectory) -> Iterator[None]:
    """Within this context an `OSError` says how to go on."""
    try:
        yield
    except OSError as error:
        command = resumption(directory)
        raise OSError(f"{error} Make room, then go on from the last checkpoint with: {command}") from error


def only_writer(directory: RunDirectory, processes: Processes) -> Any:
    """The context in which the first of `processes` alone may write into `directory`."""
    return directory.in_use() if processes.first else nullcontext()


def stream_of(processes: Processes, stream: TextIO | None) -> TextIO:
    """Where this process shows its progress: nowhere, if it is not the first."""
    if not processes.first:
        return io.StringIO()
    return sys.stdout if stream is None else stream
