"""Models and tasks in which something goes wrong, once, at a known place: iteration 5, step 3, row 1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from tests.training.tiny import tiny_settings
from torch import Tensor, nn

from torchmann import Recurrent
from torchmann.core import Cell, record, state
from torchmann.tasks import Batch, Score, Task
from torchmann.training import Training

STEPS, ROWS, ITERATION, STEP, ROW = 6, 4, 5, 3, 1


@dataclass
class Marked(Task):
    """Inputs of ones, but for `mark` at the known place; the loss is the mean output."""

    mark: float = 1.0
    loss_then: float = 0.0  # is added to the loss of that iteration

    input_kind = "vector"
    target_kind = "bits"
    input_size = output_size = 1
    metric = "output"

    def batch(self, index: int, batch_size: int, *, seed: int, split: str = "train") -> Batch:
        inputs = torch.ones(STEPS, batch_size, 1)
        targets = torch.zeros(STEPS, batch_size, 1)
        if split == "train" and index == ITERATION - 1:
            inputs[STEP, ROW] = self.mark
            targets[:] = self.loss_then
        everywhere = torch.ones(STEPS, batch_size, dtype=torch.bool)
        lengths = torch.full((batch_size,), STEPS)
        return Batch(inputs, targets, lengths, everywhere, everywhere, torch.ones_like(inputs), "l2", 0)

    def batches(self, split: str, batch_size: int) -> int | None:
        return None if split == "train" else 1

    def loss(self, output_TBO: Tensor, batch: Batch) -> Tensor:
        return (output_TBO * 1.0).mean() + batch.targets.sum()

    def scores(self, output_TBO: Tensor, batch: Batch) -> dict[str, Score]:
        return {"output": Score(output_TBO.sum(), torch.tensor(1.0))}


@state
class SumState(NamedTuple):
    total: Tensor  # [B, 1]


class Faulty(Cell):
    """``y = function(weight x)``; ``function(...)`` is recorded as ``inside``, ``weight x`` as ``scaled``."""

    input_size = output_size = 1

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.weight = nn.Parameter(torch.ones(1))

    def initial_state(self, batch_size: int) -> SumState:
        return SumState(self.weight.new_zeros(batch_size, 1))

    def forward(self, x: Tensor, before: SumState, noise: Any = None) -> tuple[Tensor, SumState]:
        scaled = self.weight * x
        record(self, "scaled", scaled)
        inside = self.function(scaled)
        record(self, "inside", inside)
        return inside, SumState(before.total + inside)


class Faults(nn.Module):
    """A faulty cell over time, with a healthy parameter behind it."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.body = Recurrent(Faulty(function))
        self.gain = nn.Parameter(torch.ones(1))

    def forward(
        self, inputs: Tensor, state: Any = None, *, decode_from: int | None = None, **options: Any
    ) -> tuple[Tensor, Any]:
        output, state = self.body(inputs, state, **options)
        return self.gain * output, state


def faulty_training(function: Callable[[Tensor], Tensor], task: Task, *, lr: float = 1e-6, **settings: Any) -> Training:
    """Twenty iterations, looked at after every eighth."""
    model = Faults(function)
    optimiser = torch.optim.SGD(model.parameters(), lr=lr)
    options = {"iterations": 20, "log_every": 8, "evaluate_every": 100, "clip": "none", "batch_size": ROWS}
    return Training(model, task, optimiser, tiny_settings(**{**options, **settings}))
