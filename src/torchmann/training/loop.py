"""The training loop: task, batch, model, loss, clip, step."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import NamedTuple

from torch import nn
from torch.optim import Optimizer

from torchmann.core.errors import OptionError
from torchmann.tasks import Task
from torchmann.training.clipping import clip_gradients
from torchmann.training.evaluate import evaluate
from torchmann.training.refreshing import Refreshing, split_output
from torchmann.training.seeds import noise_generator, refreshing_stream
from torchmann.training.settings import Settings, device_named
from torchmann.training.tally import Means, Tally


class Measurement(NamedTuple):
    """What is known after an iteration; a line of metrics.jsonl."""

    split: str  # "train": means over the iterations since the last such line; "validation": the held-out batches
    iteration: int
    seconds: float  # since training started, evaluations included
    loss: float
    scores: dict[str, float]


class Training:
    """Trains a model on a task; iterate over it to train and to receive what is measured on the way.

    Example::

        training = Training(model, task, torch.optim.Adam(model.parameters()), Settings(iterations=1000))
        for measurement in training:
            print(measurement)
        training.stopped                      # "solved", "iterations", "time" or "interrupted"

    Args:
        model: called ``model(inputs, lengths=..., generator=..., decode_from=...)``, gives logits ``[T, B, O]`` and
            a state.
        task: gives the batches, the loss and the scores.
        optimiser: of the model's parameters.
        settings: how to train; the model is moved to its device.

    Attributes:
        iteration: training steps done.
        stopped: why training ended; None before its end.

    Raises:
        OptionError: the device is not there, or `solved_at` is given for a task without validation sequences.
    """

    def __init__(self, model: nn.Module, task: Task, optimiser: Optimizer, settings: Settings) -> None:
        self.device = device_named(settings.device)
        self.model, self.task, self.optimiser, self.settings = model.to(self.device), task, optimiser, settings
        self.parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
        self.noise = noise_generator(settings.seed, self.device)
        self.refreshing = Refreshing(settings.refresh_probability, settings.refresh_gamma, settings.refresh_floor)
        self.iteration = 0
        self.stopped: str | None = None
        self._started: float | None = None
        self._interrupted = False
        available = task.batches("validation", settings.evaluation_batch_size)
        most = settings.evaluation_batches
        self.validation_batches = most if available is None else min(most, available)
        if settings.solved_at is not None and not self.validation_batches:
            raise OptionError("solved_at needs validation sequences, and this task keeps none; leave solved_at out.")

    @property
    def seconds(self) -> float:
        """Time since training started, evaluations included."""
        return 0.0 if self._started is None else time.monotonic() - self._started

    def interrupt(self) -> None:
        """Ask training to end after the iteration under way."""
        self._interrupted = True

    def __iter__(self) -> Iterator[Measurement]:
        """Train until solved, out of iterations, out of time, or interrupted.

        Raises:
            FloatingPointError: the loss of an iteration is not finite.
        """
        self._started = time.monotonic()
        self.model.train()
        tally = Tally()
        while self.stopped is None:
            self.step(tally)
            self.stopped = self._limit_reached()
            if self.stopped or self.iteration % self.settings.log_every == 0:
                yield self._measurement("train", self._finite(tally.means()))
                tally = Tally()
            due = self.iteration % self.settings.evaluate_every == 0 or self.stopped in ("iterations", "time")
            if due and self.validation_batches and self.stopped != "interrupted":
                yield self._validate()

    def step(self, tally: Tally) -> None:
        """One iteration; its loss and scores go to `tally`."""
        settings = self.settings
        batch = self.task.batch(self.iteration, settings.batch_size, seed=settings.seed).to(self.device)
        output, _ = self.model(
            batch.inputs, lengths=batch.lengths, generator=self.noise, decode_from=batch.first_answer_step
        )
        answer, _ = split_output(self.task, output)
        sample = refreshing_stream(settings.seed, self.iteration, self.device)
        loss = self.refreshing.loss(self.task, output, batch, sample)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        clip_gradients(self.parameters, settings.clip, settings.clip_limit)
        self.optimiser.step()
        tally.add(loss, self.task.scores(answer.detach(), batch), batch.batch_size)
        self.iteration += 1

    def _limit_reached(self) -> str | None:
        if self._interrupted:
            return "interrupted"
        if self.iteration >= self.settings.iterations:
            return "iterations"
        limit = self.settings.max_seconds
        return "time" if limit is not None and self.seconds >= limit else None

    def _validate(self) -> Measurement:
        settings = self.settings
        means = evaluate(
            self.model,
            self.task,
            "validation",
            batch_size=settings.evaluation_batch_size,
            batches=self.validation_batches,
            device=self.device,
        )
        if settings.solved_at is not None and means.scores[self.task.metric] >= settings.solved_at:
            self.stopped = "solved"
        return self._measurement("validation", means)

    def _finite(self, means: Means) -> Means:
        """`means`, unless a loss in it is not finite. Looked for here, where the losses are read anyway."""
        for number, loss in enumerate(means.losses):
            if not math.isfinite(loss):
                iteration = self.iteration - len(means.losses) + number + 1
                raise FloatingPointError(
                    f"the loss became {loss} at iteration {iteration}; try a smaller learning rate or clip_limit."
                )
        return means

    def _measurement(self, split: str, means: Means) -> Measurement:
        return Measurement(split, self.iteration, self.seconds, means.loss, means.scores)
