"""The training loop: task, batch, model, loss, clip, step."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

from torch import nn
from torch.optim import Optimizer

from torchmann.core.errors import DataError, OptionError
from torchmann.tasks import Batch, Task
from torchmann.training.annealing import Annealing, schedule_from
from torchmann.training.backward import Backward, Passed
from torchmann.training.captured import Captured, make_capturable, require_capturable
from torchmann.training.clipping import clip_gradients
from torchmann.training.curriculum import Curriculum
from torchmann.training.early_stopping import BestScore
from torchmann.training.evaluate import evaluate
from torchmann.training.forensics import ADVICE, NotFiniteError, finite, investigate, snapshot
from torchmann.training.processes import Processes
from torchmann.training.refreshing import split_output
from torchmann.training.settings import Settings, device_named
from torchmann.training.tally import Means, Tally

SCORE_EVERY = 5
"""Iterations from one scored training batch to the next: scores of a small model cost a tenth of its iteration."""


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
        training.stopped                      # "solved", "patience", "iterations", "time" or "interrupted"

    Args:
        model: called ``model(inputs, lengths=..., generator=..., decode_from=...)``, gives logits ``[T, B, O]`` and
            a state; for chunks and streams it is given ``state=`` and ``start=`` too.
        task: gives the batches, the loss and the scores.
        optimiser: of the model's parameters.
        settings: how to train; the model is moved to its device.
        curriculum: the task of each iteration; None is always `task`, on which the model is evaluated anyway.
        processes: those of the run; None is this one alone.
        keep: called after the iterations at which a checkpoint is due, when all their measurements have been taken.

    Attributes:
        iteration: training steps done.
        best: the best score on validation sequences so far.
        stopped: why training ended; None before its end.

    Raises:
        OptionError: the device is not there, an iteration cannot be captured and shall be, or `solved_at` or
            `patience` is given for a task without validation sequences.
    """

    def __init__(
        self,
        model: nn.Module,
        task: Task,
        optimiser: Optimizer,
        settings: Settings,
        *,
        curriculum: Curriculum | None = None,
        processes: Processes | None = None,
        keep: Callable[[Training], None] | None = None,
    ) -> None:
        self.device = device_named(settings.device)
        self.model, self.task, self.optimiser, self.settings = model.to(self.device), task, optimiser, settings
        self.curriculum, self.processes, self.keep = curriculum, processes or Processes(), keep
        self.parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
        self.annealing = Annealing(settings.anneal)
        self.annealing.apply(model, 0)
        self.learning_rate = None if settings.learning_rate is None else schedule_from(settings.learning_rate)
        self.backward = Backward(model, settings, self.processes, self.device)
        self.captured = Captured(self.learn) if settings.capture else None
        if settings.capture:
            require_capturable(self)
            make_capturable(optimiser, True)
        self.tally = Tally(self.processes)
        self.best = BestScore()
        self.iteration = 0
        self.stopped: str | None = None
        self._started: float | None = None
        self._seconds_before = 0.0
        self._interrupted = False
        available = task.batches("validation", settings.evaluation_batch_size)
        most = settings.evaluation_batches
        self.validation_batches = most if available is None else min(most, available)
        for name in ("solved_at", "patience"):
            if getattr(settings, name) is not None and not self.validation_batches:
                raise OptionError(f"{name} needs validation sequences, and this task keeps none; leave {name} out.")

    @property
    def seconds(self) -> float:
        """Time since training started, evaluations included; after a resumption that of the earlier sessions too."""
        return self._seconds_before + (0.0 if self._started is None else time.monotonic() - self._started)

    def interrupt(self) -> None:
        """Ask training to end after the iteration under way."""
        self._interrupted = True

    def __iter__(self) -> Iterator[Measurement]:
        """Train until solved, out of patience, iterations or time, or interrupted.

        Raises:
            NotFiniteError: a loss or a parameter is not finite; it says what was the first number that is not.
        """
        self.start()
        while self.stopped is None:
            self.step()
            yield from self.conclude()

    def start(self) -> None:
        """What comes before the first iteration: the clock, and the state to go back to from a bad number."""
        self._started = time.monotonic()
        self._good = snapshot(self)
        self.model.train()

    def step(self) -> None:
        """One iteration: the gradients of the next batch, limited, and a step of the optimiser."""
        task, batch = self.prepare()
        learn = self.captured or self.learn
        self.count(task, batch, learn(task, batch.to(self.device)))

    def learn(self, task: Task, batch: Batch) -> Passed:
        """What changes the parameters in an iteration: the backward pass of a batch, and what follows from it."""
        passed = self.backward(task, batch, self.iteration)
        self.descend()
        return passed

    def prepare(self) -> tuple[Task, Batch]:
        """What comes before the backward pass of an iteration; its task and batch."""
        self.annealing.apply(self.model, self.iteration)
        if self.learning_rate is not None:
            for group in self.optimiser.param_groups:
                group["lr"] = self.learning_rate(self.iteration)
        self.optimiser.zero_grad(set_to_none=True)
        return self.drawn(self.iteration)

    def descend(self) -> None:
        """What comes after the backward pass: the gradients of all processes, limited, and a step of the optimiser."""
        self.processes.add_gradients(self.parameters)
        clip_gradients(self.parameters, self.settings.clip, self.settings.clip_limit)
        self.optimiser.step()

    def count(self, task: Task, batch: Batch, passed: Passed) -> None:
        """What comes after the step of the optimiser: the tally."""
        settings, number = self.settings, self.iteration
        self.iteration += 1
        scores = passed.penalties
        if number % SCORE_EVERY == 0 or self.iteration % settings.log_every == 0:
            scores = task.scores(split_output(task, passed.output)[0], passed.batch) | scores
        self.tally.add(passed.loss, scores, batch.batch_size)

    def conclude(self) -> Iterator[Measurement]:
        """What comes after an iteration: measurements that are due, the end if it has come, a checkpoint."""
        settings = self.settings
        self.stopped, interrupted = self._limits()
        if self._due(settings.log_every):
            yield self._measure()
        if self.validation_batches and self._due(settings.evaluate_every):
            yield self._validate()
        if interrupted and self.stopped is None:
            self.stopped = "interrupted"
        if self.keep and (self._due(settings.checkpoint_every) or self.best.iteration == self.iteration):
            self.require_finite()
            self.keep(self)

    def _due(self, every: int) -> bool:
        """Whether it is time for what is done after so many iterations, and at the end."""
        return self.stopped is not None or self.iteration % every == 0

    def drawn(self, number: int) -> tuple[Task, Batch]:
        """The task of iteration `number`, counted from 0, and its batch, that of all processes."""
        task = self.task if self.curriculum is None else self.curriculum.task(number)
        rows = self.settings.batch_size * self.processes.count
        return task, task.batch(number, rows, seed=self.settings.seed)

    def state_dict(self) -> dict[str, Any]:
        """All that the iterations to come depend on but the configuration, as a tree that `save_tree` takes.

        Several processes must call this together; each gets the state of all.
        """
        return {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "backward": self.backward.state_dict(),
            "tally": self.tally.state_dict(),
            "curriculum": None if self.curriculum is None else self.curriculum.state_dict(),
            "best": asdict(self.best),
            "iteration": self.iteration,
            "seconds": self.seconds,
            "stopped": None if self.stopped == "interrupted" else self.stopped,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`, which is left as it is; reaching a limit that has been raised since does not count.

        Raises:
            DataError: it is of another model or optimiser.
        """
        try:
            self.model.load_state_dict(state["model"])
            self.optimiser.load_state_dict(copy.deepcopy(state["optimiser"]))
            make_capturable(self.optimiser, self.settings.capture)
            if self.captured is not None:
                self.captured.forget()
            self.backward.load_state_dict(state["backward"])
            self.tally.load_state_dict(state["tally"], self.device)
            if self.curriculum is not None:
                self.curriculum.load_state_dict(state["curriculum"])
            self.best = BestScore(**state["best"])
            self.iteration, self._seconds_before, self._started = state["iteration"], state["seconds"], None
            ended = state["stopped"] in ("solved", "patience")
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            reason = " ".join(str(error).split())
            raise DataError(f"the stored state is not that of this model and optimiser: {reason}") from error
        self.stopped = state["stopped"] if ended else self._limits()[0]

    def _limits(self) -> tuple[str | None, bool]:
        """The limit that any process has reached, if one has, and whether any was interrupted."""
        limit = self.settings.max_seconds
        late = limit is not None and self.seconds >= limit
        late, interrupted = self.processes.agree(late, self._interrupted)
        if self.iteration >= self.settings.iterations:
            return "iterations", interrupted
        return "time" if late else None, interrupted

    def _measure(self) -> Measurement:
        """The means over the iterations since the last such measurement, if all is well."""
        self.require_finite()
        means = self.tally.means()
        measurement = self._measurement("train", means)
        if self.curriculum is not None:
            self.curriculum.observe(means.loss)
        self.tally = Tally(self.processes)
        self._good = snapshot(self)
        return measurement

    def _validate(self) -> Measurement:
        """The means over held-out sequences, and what follows from them."""
        settings = self.settings
        means = evaluate(
            self.model,
            self.task,
            "validation",
            batch_size=settings.evaluation_batch_size,
            batches=self.validation_batches,
            device=self.device,
        )
        score = means.scores[self.task.metric]
        self.best.observe(score, self.iteration)
        if settings.solved_at is not None and score >= settings.solved_at:
            self.stopped = "solved"
        elif settings.patience is not None and self.best.waited >= settings.patience:
            self.stopped = "patience"
        return self._measurement("validation", means)

    def require_finite(self) -> None:
        """Raise `NotFiniteError` unless losses, parameters and carried state are finite: asked where they are used."""
        losses = self.tally.means().losses if len(self.tally) else []
        if all(map(math.isfinite, losses)) and finite(self):
            return
        case = investigate(self, self._good)
        finding = None if case is None else case.finding
        found = "it did not come again, so there is no saying which" if finding is None else finding.sentence()
        advice = ADVICE if finding is None else finding.advice()
        raise NotFiniteError(
            f"training came to a number that is not finite at iteration {self.iteration}: {found}; {advice}.", case
        )

    def _measurement(self, split: str, means: Means) -> Measurement:
        return Measurement(split, self.iteration, self.seconds, means.loss, means.scores)
