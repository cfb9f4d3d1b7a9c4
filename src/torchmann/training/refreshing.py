"""Memory refreshing: now and then the model must reproduce what it is shown, while it is shown.

Shapes: T time, B batch, O output.
Source: "Distributed associative memory network with memory refreshing loss", eqs 5-9 and table B.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from torchmann.core.errors import OptionError, unknown_name
from torchmann.tasks import Batch, Task
from torchmann.tasks.scoring import bit_losses, word_losses


@dataclass(frozen=True)
class Refreshing:
    """``L = gamma sum_t A(t) l_task + sum_t alpha(t) l_mr``, divided as the task divides its own loss.

    ``alpha(t)`` is one with `probability` at the steps that the batch's ``refresh_mask`` marks, ``A(t)`` marks the
    answers, and ``l_mr`` compares the output with the input of the same step: cross entropy for bits and tokens, the
    mean square for real numbers.

    Args:
        probability: p, of a step to be reproduced; 0 is the task's own loss.
        gamma: number of reproduced steps over number of answers, of each ``"sequence"`` (paper) or of the whole
            ``"batch"`` (released code).
        floor: let gamma be no less than one (paper; the released bAbI code has no floor).

    Raises:
        OptionError: a probability outside [0, 1] or an unknown kind of gamma.
    """

    probability: float
    gamma: Literal["sequence", "batch"] = "sequence"
    floor: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise OptionError(f"probability of refreshing must be in [0, 1], got {self.probability}.")
        if self.gamma not in ("sequence", "batch"):
            raise unknown_name("gamma of refreshing", self.gamma, ("sequence", "batch"))

    def sample(self, batch: Batch, generator: torch.Generator | None = None) -> Tensor:
        """``alpha [T, B]``: which steps are reproduced, as bool."""
        draws = torch.rand(batch.refresh_mask.shape, generator=generator, device=batch.refresh_mask.device)
        return (draws < self.probability) & batch.refresh_mask

    def weight(self, alpha_TB: Tensor, batch: Batch) -> Tensor:
        """``gamma``: ``[B]`` by sequence, 0-dim by batch."""
        axis = 0 if self.gamma == "sequence" else (0, 1)
        gamma = alpha_TB.sum(axis) / batch.answer_mask.sum(axis).clamp(min=1)  # a row may have no answer
        return gamma.clamp(min=1) if self.floor else gamma

    def weigh(self, task: Task, batch: Batch, generator: torch.Generator | None = None) -> StepWeights:
        """What each step of `batch` counts in the loss, which can then be computed part by part.

        Args:
            task: defines `Task.divisor`.
            batch: the whole batch.
            generator: of the sample, on the batch's device.
        """
        divisor = task.divisor(batch)
        if not self.probability:
            return StepWeights(batch.answer_mask, None, divisor)
        alpha_TB = self.sample(batch, generator)
        return StepWeights(self.weight(alpha_TB, batch) * batch.answer_mask, alpha_TB, divisor)

    def loss(self, task: Task, output_TBO: Tensor, batch: Batch, generator: torch.Generator | None = None) -> Tensor:
        """The training loss, 0-dim.

        Args:
            task: defines `Task.step_loss` and `Task.divisor`.
            output_TBO: logits; where the task has a `refresh_size`, that many more channels reproduce the input.
            batch: what the output answers.
            generator: of the sample, on the batch's device.
        """
        if not self.probability:
            return task.loss(split_output(task, output_TBO)[0], batch)
        return self.weigh(task, batch, generator).loss(task, output_TBO, batch)


class StepWeights(NamedTuple):
    """What each step of a batch counts in its loss. The losses of parts add up to the loss of the whole."""

    answered_TB: Tensor  # gamma A(t)
    reproduced_TB: Tensor | None  # alpha(t); None is without refreshing
    divisor: Tensor  # of the whole batch

    def part(self, steps: slice, rows: slice) -> StepWeights:
        """The weights of some steps and rows."""
        reproduced_TB = None if self.reproduced_TB is None else self.reproduced_TB[steps, rows]
        return StepWeights(self.answered_TB[steps, rows], reproduced_TB, self.divisor)

    def loss(self, task: Task, output_TBO: Tensor, batch: Batch) -> Tensor:
        """The loss of an output of logits for the steps and rows that these weights are of, 0-dim."""
        answer_TBO, reproduced_TBO = split_output(task, output_TBO)
        losses_TB = self.answered_TB * task.step_loss(answer_TBO, batch)
        if self.reproduced_TB is not None:
            losses_TB = losses_TB + self.reproduced_TB * refresh_losses(reproduced_TBO, batch)
        return losses_TB.sum() / self.divisor


def split_output(task: Task, output_TBO: Tensor) -> tuple[Tensor, Tensor]:
    """The channels that answer and those that reproduce: the same ones where the output was not widened."""
    if output_TBO.shape[-1] == task.output_size:
        return output_TBO, output_TBO
    return output_TBO[..., : task.output_size], output_TBO[..., task.output_size :]


def refresh_losses(output_TBO: Tensor, batch: Batch) -> Tensor:
    """``l_mr [T, B]``: how far the output of each step is from the input of that step (table B.1)."""
    if batch.refresh_kind == "tokens":
        return word_losses(output_TBO, batch.refresh_target)
    if batch.refresh_kind == "binary":
        return bit_losses(output_TBO, batch.refresh_target).sum(-1)
    return (output_TBO.float() - batch.refresh_target).square().mean(-1)
