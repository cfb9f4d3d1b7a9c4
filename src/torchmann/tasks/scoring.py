"""Masked losses and scores, shared by the tasks: bits, words, values, whole sequences, whole questions.

Legend: T time, B batch, O output, C channels of one answer (bits, or 1 for a word).
"""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from torchmann.core.errors import ShapeError, unknown_name
from torchmann.tasks.task import Batch, Score

BitLoss = Literal["bit", "step", "episode"]
WordLoss = Literal["word", "step", "episode"]


def require_normalisation(loss: str, allowed: Any) -> None:
    """Raise `OptionError` unless `loss` is one of the names of `allowed`, `BitLoss` or `WordLoss`."""
    if loss not in get_args(allowed):
        raise unknown_name("loss", loss, get_args(allowed))


def require_output(output_TBO: Tensor, batch: Batch, output_size: int) -> None:
    """Raise `ShapeError` unless the output fits the batch."""
    steps, rows = batch.answer_mask.shape
    if output_TBO.shape != (steps, rows, output_size):
        raise ShapeError(
            f"output must be [T, B, O] = [{steps}, {rows}, {output_size}] for this batch, got "
            f"{list(output_TBO.shape)}: build the model with output_size={output_size} and time first."
        )


def divisor(mask_TB: Tensor, channels: int, how: BitLoss | WordLoss) -> Tensor:
    """What the sum over all answered elements is divided by to give one number, 0-dim.

    Args:
        mask_TB: the answered steps.
        channels: elements of an answer.
        how: ``"bit"`` or ``"word"``: mean over the answered elements (ARMIN). ``"step"``: summed over the channels,
            mean over ``B x T``, padding included (DAM). ``"episode"``: summed over the channels and steps, mean over
            the batch (NTM, DMA).
    """
    steps, rows = mask_TB.shape
    if how in ("step", "episode"):
        return mask_TB.new_tensor(steps * rows if how == "step" else rows, dtype=torch.float32)
    return (mask_TB.sum() * channels).clamp(min=1)


def bit_losses(logits_TBC: Tensor, targets_TBC: Tensor) -> Tensor:
    """Sigmoid cross entropy (nats) of each bit, ``[T, B, C]``."""
    return F.binary_cross_entropy_with_logits(logits_TBC.float(), targets_TBC, reduction="none")


def word_losses(logits_TBO: Tensor, targets_TB: Tensor) -> Tensor:
    """Softmax cross entropy (nats) of each word, ``[T, B]``."""
    loss = F.cross_entropy(logits_TBO.float().flatten(0, 1), targets_TB.flatten(), reduction="none")
    return loss.view_as(targets_TB)


@torch.no_grad()
def bit_scores(logits_TBC: Tensor, targets_TBC: Tensor, mask_TB: Tensor) -> dict[str, Score]:
    """Scores of binary answers; a bit counts as one where its logit is above zero.

    Returns:
        ``bit_accuracy``: mean over answered bits. ``position_accuracy`` and ``sequence_accuracy``: answered steps, and
        rows, of which every answered bit is right. Cross entropy: ``bit_cross_entropy`` in nats per answered bit,
        ``vector_cross_entropy`` in nats per answered step, and ``bits_per_sequence`` in bits per row (NTM).
    """
    right_TBC = ((logits_TBC > 0) == (targets_TBC > 0.5)) & mask_TB.unsqueeze(-1)
    losses_TBC = bit_losses(logits_TBC, targets_TBC) * mask_TB.unsqueeze(-1)
    steps = mask_TB.sum().float()
    bits = steps * targets_TBC.shape[-1]
    whole = _whole_answers(right_TBC.all(-1), mask_TB)
    return {
        "bit_accuracy": Score(right_TBC.sum().float(), bits),
        **whole,
        "bit_cross_entropy": Score(losses_TBC.sum(), bits),
        "vector_cross_entropy": Score(losses_TBC.sum(), steps),
        "bits_per_sequence": Score(losses_TBC.sum() / math.log(2), whole["sequence_accuracy"].weight),
    }


@torch.no_grad()
def class_scores(logits_TBO: Tensor, targets_TB: Tensor, mask_TB: Tensor) -> dict[str, Score]:
    """Scores of answers that are one class a step, the one with the largest logit.

    Returns:
        ``position_accuracy``: mean over answered steps. ``sequence_accuracy``: rows of which every answered step is
        right. ``cross_entropy``: nats per answered step.
    """
    losses_TB = word_losses(logits_TBO, targets_TB) * mask_TB
    return {
        **_whole_answers((logits_TBO.argmax(-1) == targets_TB) & mask_TB, mask_TB),
        "cross_entropy": Score(losses_TB.sum(), mask_TB.sum().float()),
    }


def _whole_answers(right_TB: Tensor, mask_TB: Tensor) -> dict[str, Score]:
    """The share of answered steps that are right, and that of rows without a wrong one."""
    whole_B = (right_TB | ~mask_TB).all(0)
    return {
        "position_accuracy": Score(right_TB.sum().float(), mask_TB.sum().float()),
        "sequence_accuracy": Score(whole_B.sum().float(), torch.ones_like(whole_B).sum().float()),
    }


@torch.no_grad()
def value_scores(output_TBO: Tensor, targets_TBO: Tensor, mask_TB: Tensor) -> dict[str, Score]:
    """Scores of answers that are real numbers.

    Returns:
        ``explained_variance``: 1 - squared error / squared deviation of the targets from their row's mean, both summed
        before they are divided; 0 for an output that is that mean. ``mean_squared_error``: per answered number.
    """
    mask_TB1 = mask_TB.unsqueeze(-1)
    errors = ((output_TBO.float() - targets_TBO) * mask_TB1).square().sum()
    mean_BO = (targets_TBO * mask_TB1).sum(0) / mask_TB1.sum(0).clamp(min=1)
    variation = ((targets_TBO - mean_BO) * mask_TB1).square().sum()
    return {
        "explained_variance": Score(variation - errors, variation),
        "mean_squared_error": Score(errors, mask_TB.sum().float() * targets_TBO.shape[-1]),
    }


def count_questions(right_TB: Tensor, answer_TB: Tensor) -> tuple[Tensor, Tensor]:
    """Per row, the questions that are wholly right and all questions, both ``[B]``.

    A question's answer is a run of answered steps without a gap; it is right if every word of it is
    (dam.md 4.6).
    """
    previous_TB = F.pad(answer_TB[:-1], (0, 0, 1, 0))
    starts_TB = answer_TB & ~previous_TB
    question_TB = starts_TB.cumsum(0)
    wrong_TB = (answer_TB & ~right_TB).long()
    wrong_by_question = wrong_TB.new_zeros(len(wrong_TB) + 1, wrong_TB.shape[1])
    wrong_by_question.scatter_add_(0, question_TB, wrong_TB)
    asked_B = starts_TB.sum(0)
    return asked_B - (wrong_by_question > 0).sum(0), asked_B
