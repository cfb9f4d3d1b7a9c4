"""One sequence and what a model did with it, recorded for a picture.

Legend: T time, B batch, I input, O output, N slots or units.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from torchmann.core import Recorder
from torchmann.models import SequenceModel
from torchmann.tasks import Task
from torchmann.training.evaluate import evaluation_mode
from torchmann.training.seeds import HELD_OUT_SEED

CANDIDATES = 32
"""Sequences among which the one to draw is chosen."""


@dataclass(frozen=True)
class Sample:
    """One sequence, cut at its own length, and the model's internals while it ran.

    Attributes:
        inputs_TI: ``[T, I]`` vectors, or ``[T]`` tokens.
        targets_TO: ``[T, O]`` bits, or ``[T]`` tokens.
        probabilities_TO: of a one for each bit, or of each word.
        answer_T: True at the steps that are scored.
        internals: by title, ``[T, N]`` each: weightings head by head, usage, or the hidden state.
        words: the vocabulary of tokens; empty for vectors.
    """

    inputs_TI: Tensor
    targets_TO: Tensor
    probabilities_TO: Tensor
    answer_T: Tensor
    internals: dict[str, Tensor]
    words: tuple[str, ...]

    def right(self) -> Tensor:
        """Which answers are right, ``[T, O]`` for bits and ``[T]`` for words; False where nothing is asked."""
        if self.words:
            return (self.probabilities_TO.argmax(-1) == self.targets_TO) & self.answer_T
        return ((self.probabilities_TO > 0.5) == (self.targets_TO > 0.5)) & self.answer_T.unsqueeze(-1)

    def accuracy(self) -> float:
        """The share of the answered bits or words that are right."""
        answers = int(self.answer_T.sum()) * (1 if self.words else self.targets_TO.shape[-1])
        return float(self.right().sum()) / max(answers, 1)


def record_sample(model: SequenceModel, task: Task) -> Sample:
    """Run `model` on test sequences of `task` and keep one: the longest of vectors, the shortest of words."""
    batch = task.batch(0, CANDIDATES, seed=HELD_OUT_SEED, split="test")
    with evaluation_mode(model), Recorder(model) as recorder:
        output_TBO, _ = model(batch.inputs, lengths=batch.lengths, decode_from=batch.first_answer_step)
    tokens = task.input_kind == "tokens"
    row = int(batch.lengths.argmin() if tokens else batch.lengths.argmax())
    steps = int(batch.lengths[row])

    def cut(value: Tensor) -> Tensor:
        return value[:steps, row].cpu()

    return Sample(
        inputs_TI=cut(batch.inputs),
        targets_TO=cut(batch.targets),
        probabilities_TO=cut(output_TBO.softmax(-1) if tokens else output_TBO.sigmoid()),
        answer_T=cut(batch.answer_mask),
        internals={title: cut(value) for title, value in _internals(recorder, len(batch.inputs)).items()},
        words=_words(task) if tokens else (),
    )


def _internals(recorder: Recorder, steps: int) -> dict[str, Tensor]:
    """What there is to see of a memory, ``[T, B, N]`` by title; of a model without one, its hidden state."""
    found: dict[str, Tensor] = {}
    between = {"write_weights": ("block", "head"), "read_weights": ("block", "head"), "usage": ("block",)}
    for name, axes in between.items():
        # a memory that rests at some steps is not recorded there, but the state is
        for full_name in (f"memory.{name}", f"state.memory.{name}"):
            if full_name in recorder and len(recorder[full_name]) == steps:
                found |= _apart(name.replace("_", " "), recorder[full_name], axes)
                break
    if not found and "state.h" in recorder:
        found["hidden state"] = recorder["state.h"]
    return found


def _apart(title: str, value: Tensor, axes: tuple[str, ...]) -> dict[str, Tensor]:
    """The parts ``[T, B, N]`` of a value ``[T, B, ..., N]`` by title; `axes` names those that there may be between."""
    extra = value.dim() - 3
    if not extra:
        return {title: value}
    parts: dict[str, Tensor] = {}
    for number, part in enumerate(value.unbind(2), start=1):
        label = f", {axes[-extra]} {number}" if value.shape[2] > 1 else ""
        parts |= _apart(title + label, part, axes)
    return parts


def _words(task: Task) -> tuple[str, ...]:
    return getattr(task, "vocabulary", None) or tuple(str(number) for number in range(task.input_size))
