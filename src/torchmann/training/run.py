"""A whole run: from a configuration to a directory with metrics, weights and a final evaluation."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import torch

from torchmann.models import SequenceModel
from torchmann.tasks import Task
from torchmann.training.config import Config
from torchmann.training.evaluate import final_evaluation
from torchmann.training.loop import Training
from torchmann.training.progress import progress_of
from torchmann.training.run_directory import EVALUATION, RunDirectory, default_path
from torchmann.training.settings import Settings, device_named
from torchmann.training.tally import Means


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        directory: of the run.
        stopped: ``"solved"``, ``"iterations"``, ``"time"`` or ``"interrupted"``.
        iteration: training steps done.
        seconds: of training, evaluations on the way included.
        evaluation: what `final_evaluation` found; None if the run was interrupted.
    """

    directory: RunDirectory
    stopped: str | None
    iteration: int
    seconds: float
    evaluation: dict[str, Means] | None


def train_run(
    config: Config, output: str | Path | None = None, *, overwrite: bool = False, stream: TextIO | None = None
) -> Outcome:
    """Train as `config` says. The first Ctrl-C ends it after the iteration under way, with the weights stored.

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
    stream = sys.stdout if stream is None else stream
    settings = config.settings
    torch.set_num_threads(settings.threads)
    task = config.build_task()
    model = config.build_model(task)
    training = Training(model, task, config.build_optimiser(model), settings)
    directory = RunDirectory.create(default_path(config) if output is None else output, config, overwrite=overwrite)
    count = sum(parameter.numel() for parameter in model.parameters())
    print(f"training {config.model.name} ({count:,} parameters) on {config.task.name}: {directory.path}", file=stream)

    with interruptible(training), progress_of(training, stream) as progress:
        for measurement in training:
            directory.record(measurement)
            progress.show(measurement)
            if measurement.split == "validation":
                directory.save_weights(model)
    seconds, evaluation = training.seconds, None
    directory.save_weights(model)
    if training.stopped != "interrupted":
        evaluation = evaluate_finally(model, task, settings)
        found = {label: {"loss": means.loss, "scores": means.scores} for label, means in evaluation.items()}
        ended = {"stopped": training.stopped, "iteration": training.iteration, "seconds": seconds}
        directory.write_json(EVALUATION, {**ended, "metric": task.metric, "results": found})
    return Outcome(directory, training.stopped, training.iteration, seconds, evaluation)


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


def evaluate_finally(model: SequenceModel, task: Task, settings: Settings) -> dict[str, Means]:
    """`final_evaluation` with the sizes and the device of `settings`."""
    device = device_named(settings.device)
    return final_evaluation(
        model.to(device),
        task,
        batch_size=settings.evaluation_batch_size,
        batches=settings.evaluation_batches,
        device=device,
    )


@contextmanager
def interruptible(training: Training) -> Iterator[None]:
    """The first Ctrl-C asks `training` to end, a second one is a KeyboardInterrupt. Threads cannot take signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask(number: int, frame: Any) -> None:
        training.interrupt()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
