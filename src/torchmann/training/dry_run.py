"""A dry run: what a configuration would train, how long that would take and how much memory, from a few iterations.

Shapes: T time.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from torchmann.tasks import Batch, Task
from torchmann.training.config import Config
from torchmann.training.evaluate import evaluate, evaluate_with_intervals
from torchmann.training.loop import Training
from torchmann.training.run import training_of
from torchmann.training.streams import cell_of

TIMED = 2
"""Iterations that are timed, after one that is not."""

SAMPLED = 20
"""Batches, spread over the run, whose lengths are looked at."""


class Part(NamedTuple):
    """A part of a model: its path, its class, and the number of its parameters."""

    path: str
    kind: str
    parameters: int


@dataclass(frozen=True)
class DryRun:
    """What was found.

    Attributes:
        parts: of the model, from the input to the output; each parameter is counted once.
        batch: shape and dtype of each tensor of the first batch.
        steps: T of the shortest, the mean and the longest of the batches looked at.
        iteration: seconds of one of the mean length.
        training: seconds of all iterations.
        evaluations: seconds of all evaluations on validation sequences.
        last: seconds of the final evaluation.
        most_bytes: most memory at once, by what it is for.
    """

    parts: list[Part]
    batch: dict[str, tuple[tuple[int, ...], torch.dtype]]
    steps: tuple[int, float, int]
    iteration: float
    training: float
    evaluations: float
    last: float
    most_bytes: dict[str, float]

    @property
    def seconds(self) -> float:
        """Of the whole run."""
        return self.training + self.evaluations + self.last


def dry_run(config: Config) -> DryRun:
    """Do a few iterations and evaluations of a run in memory, and estimate the whole of it; nothing is written.

    Raises:
        OptionError: a bad name or option.
        DataError: the task's data is missing or damaged.
    """
    training = training_of(config)
    settings = config.settings
    batch = training.drawn(0)[1]
    numbers = range(0, settings.iterations, max(1, settings.iterations // SAMPLED))
    lengths = [_steps(training.drawn(number)[1]) for number in numbers]
    mean, longest = sum(lengths) / len(lengths), max(lengths)
    training.model.train()
    graph = GraphMemory(training.parameters)
    with graph:
        training.step()
    chunk = settings.truncate or longest
    scale = min(longest, chunk) / min(_steps(batch), chunk)
    iteration = mean * _seconds_per_step(training)
    evaluations, last = _evaluation_seconds(training)
    of_training = iteration * settings.iterations
    if settings.max_seconds is not None:
        of_training = min(of_training, max(0.0, settings.max_seconds - evaluations))
    return DryRun(
        parts=parts_of(training.model),
        batch={name: (tuple(tensor.shape), tensor.dtype) for name, tensor in _tensors(batch)},
        steps=(min(lengths), mean, longest),
        iteration=iteration,
        training=of_training,
        evaluations=evaluations,
        last=last,
        most_bytes=_bytes(training) | {"kept for the backward pass": graph.most * scale},
    )


def parts_of(model: nn.Module) -> list[Part]:
    """What a model is made of: its children, and in place of its body the children of the body's cell."""
    cell = cell_of(model)
    paths = [path for path, child in model.named_children() if cell is None or cell not in child.modules()]
    if cell is not None:
        place = next(path for path, module in model.named_modules() if module is cell)
        inside = [f"{place}.{path}" for path, _ in cell.named_children()]
        paths[1:1] = [*inside, place]
    counts = Counter[str]()
    for name, parameter in model.named_parameters():
        counts[next(path for path in paths if name.startswith(f"{path}."))] += parameter.numel()
    return [Part(path, type(model.get_submodule(path)).__name__, counts[path]) for path in paths if counts[path]]


class GraphMemory(saved_tensors_hooks):
    """Within this context the most bytes are measured that autograd keeps at once for the backward pass.

    Args:
        parameters: what is there anyway, and does not count.

    Attributes:
        most: in bytes; memory that several tensors share is counted once.
    """

    def __init__(self, parameters: Iterable[Tensor]) -> None:
        super().__init__(lambda tensor: _Kept(tensor, self), lambda kept: kept.tensor)
        self.most = self._now = 0
        self._users = Counter(parameter.untyped_storage().data_ptr() for parameter in parameters)

    def change(self, tensor: Tensor, users: int) -> None:
        """Count one user more, or one less, of the memory of a tensor."""
        storage = tensor.untyped_storage()
        before = self._users[storage.data_ptr()]
        after = self._users[storage.data_ptr()] = before + users
        if not before or not after:
            self._now += users * storage.nbytes()
            self.most = max(self.most, self._now)


class _Kept:
    """A tensor for as long as the graph needs it."""

    def __init__(self, tensor: Tensor, memory: GraphMemory) -> None:
        self.tensor, self.memory = tensor, memory
        memory.change(tensor, 1)

    def __del__(self) -> None:
        self.memory.change(self.tensor, -1)


def _seconds_per_step(training: Training) -> float:
    steps = sum(_steps(training.drawn(training.iteration + offset)[1]) for offset in range(TIMED))
    started = time.perf_counter()
    for _ in range(TIMED):
        training.step()
    training.tally.means()  # waits for the device
    return (time.perf_counter() - started) / steps


def _evaluation_seconds(training: Training) -> tuple[float, float]:
    """Of all evaluations on the way, and of the final one, from one batch of each kind."""
    settings, task = training.settings, training.task
    rows = settings.evaluation_batch_size

    def seconds(function: Callable[..., object]) -> float:
        started = time.perf_counter()
        function(training.model, task, "test", batch_size=rows, batches=1, device=training.device)
        return time.perf_counter() - started

    times = settings.iterations // settings.evaluate_every + 1
    sizes = [task, *task.longer().values()]
    steps = sum(_held_out_steps(sized, rows) * _batches(sized, settings.evaluation_batches, rows) for sized in sizes)
    last = seconds(evaluate_with_intervals) * steps / _held_out_steps(task, rows)
    return seconds(evaluate) * training.validation_batches * times, last


def _held_out_steps(task: Task, rows: int) -> int:
    return _steps(task.batch(0, rows, seed=0, split="test"))


def _batches(task: Task, most: int, rows: int) -> int:
    """Of the test split: all if it is finite."""
    count = task.batches("test", rows)
    return most if count is None else count


def _bytes(training: Training) -> dict[str, float]:
    weights = sum(tensor.nbytes for tensor in training.model.state_dict().values())
    gradients = sum(parameter.nbytes for parameter in training.parameters if parameter.grad is not None)
    states = [value for state in training.optimiser.state.values() for value in state.values()]
    optimiser = sum(value.nbytes for value in states if isinstance(value, Tensor))
    copied = weights + optimiser  # to go back to where numbers are no longer finite
    return {"weights": weights, "gradients": gradients, "optimiser": optimiser, "last good state": copied}


def _steps(batch: Batch) -> int:
    return len(batch.inputs)


def _tensors(batch: Batch) -> Iterator[tuple[str, Tensor]]:
    for field in fields(batch):
        value = getattr(batch, field.name)
        if isinstance(value, Tensor):
            yield field.name, value
