"""One sequence and what a model did with it, as the pictures show it.

Legend: T time, B batch, I input, O output.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from torchmann.analysis.recording import record_row, row_of, run
from torchmann.models import SequenceModel
from torchmann.tasks import Batch, Task
from torchmann.tasks.check import perfect_output
from torchmann.training.evaluate import evaluation_mode
from torchmann.training.refreshing import split_output
from torchmann.training.seeds import HELD_OUT_SEED

CANDIDATES = 32
"""Sequences among which those to show are chosen."""

Alphabet = Literal["bits", "words", "numbers"]


@dataclass(frozen=True)
class Answers:
    """What was wanted of the model, and what it gave.

    Attributes:
        alphabet: what an answer is made of.
        wanted: ``[T, O]`` bits or numbers, or ``[T]`` words by their place in the vocabulary.
        given_TO: the probability of a one for each bit, the probability of each word, or the numbers.
        asked_T: True at the steps at which something is wanted.
    """

    alphabet: Alphabet
    wanted: Tensor
    given_TO: Tensor
    asked_T: Tensor

    def right(self) -> Tensor:
        """Where the answer is right, in the form of `wanted`; numbers are neither right nor wrong."""
        return self._agree() & self._judged()

    def wrong(self) -> Tensor:
        """Where the answer is wrong, in the form of `wanted`."""
        return ~self._agree() & self._judged()

    def accuracy(self) -> float:
        """The share of the bits or words asked for that are right."""
        return int(self.right().sum()) / max(int(self._judged().sum()), 1)

    def verdict(self) -> str:
        """How good the answers are, in a few words."""
        if self.alphabet == "numbers":
            asked_SO = (self.given_TO - self.wanted)[self.asked_T]
            return f"mean squared error {asked_SO.square().mean():.3g}"
        return f"{self.accuracy():.1%} of its {self.alphabet} right"

    def error(self) -> float:
        """How bad they are: the share that is wrong, or of numbers the sum of squares."""
        if self.alphabet == "numbers":
            return float((self.given_TO - self.wanted)[self.asked_T].square().sum())
        return 1 - self.accuracy()

    def _agree(self) -> Tensor:
        if self.alphabet == "words":
            return self.given_TO.argmax(-1) == self.wanted
        return (self.given_TO > 0.5) == (self.wanted > 0.5)

    def _judged(self) -> Tensor:
        asked = self.asked_T if self.alphabet == "words" else self.asked_T.unsqueeze(-1)
        return asked.expand_as(self.wanted) & (self.alphabet != "numbers")


@dataclass(frozen=True)
class Sample:
    """One sequence, cut at its own length, and what happened in the model while it ran.

    Attributes:
        inputs: ``[T, I]`` vectors, ``[T]`` words, or ``[T, L]`` sentences.
        answers: what the task wants.
        internals: everything recorded, ``[T, ...]`` by name; NaN at the steps at which a part did not run.
        words: what the tokens of the input are called; empty for vectors.
        classes: what the classes of the answers are called; empty where these are none.
        kinds: what was done with the memory at each step.
        reproduced: the inputs that memory refreshing wants back; None of a model that was trained without.
    """

    inputs: Tensor
    answers: Answers
    internals: dict[str, Tensor]
    words: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    reproduced: Answers | None = None


def record_sample(model: SequenceModel, task: Task, *, refreshed: bool = False) -> Sample:
    """Run `model` on test sequences of `task` and keep one: the longest of vectors, the shortest of words.

    Args:
        model: is left in the mode that it is in.
        task: gives the sequences.
        refreshed: the model was trained with memory refreshing; show what it reproduces.
    """
    return record(model, task, telling_rows(model, task)[0], refreshed=refreshed)


def telling_rows(model: SequenceModel, task: Task) -> list[Batch]:
    """Of some test sequences the longest (of words: the shortest) and, unless it is the same, the worst answered."""
    batch = task.batch(0, CANDIDATES, seed=HELD_OUT_SEED, split="test")
    with evaluation_mode(model):
        output_TBO, _ = run(model, task, batch)
    answer_TBO, _ = split_output(task, output_TBO)
    rows = [row_of(batch, row) for row in range(batch.batch_size)]
    errors = [
        _answers(
            task.target_kind, answer_TBO[: len(row.inputs), number], row.targets[:, 0], row.answer_mask[:, 0]
        ).error()
        for number, row in enumerate(rows)
    ]
    typical = int(batch.lengths.argmax() if task.input_kind == "vector" else batch.lengths.argmin())
    worst = max(range(len(rows)), key=errors.__getitem__)
    different = errors[worst] > errors[typical]
    return [rows[typical], rows[worst]] if different else [rows[typical]]


def record(model: SequenceModel, task: Task, row: Batch, *, refreshed: bool = False) -> Sample:
    """Run `model` over a batch of one sequence.

    Args:
        model: is left in the mode that it is in.
        task: of the sequence.
        row: as `row_of` cuts it out.
        refreshed: as of `record_sample`.
    """
    recording = record_row(model, task, row)
    answer_TO, reproduced_TO = split_output(task, recording.output_TO)
    return Sample(
        inputs=row.inputs[:, 0],
        answers=_answers(task.target_kind, answer_TO, row.targets[:, 0], row.answer_mask[:, 0]),
        internals=recording.internals,
        words=_words(task),
        classes=_classes(task),
        kinds=recording.kinds,
        reproduced=_reproduced(reproduced_TO, row) if refreshed else None,
    )


def sample_of(task: Task, row: Batch) -> Sample:
    """A sequence as it is before a model has seen it, answered as it should be.

    Args:
        task: of the sequence.
        row: as `row_of` cuts it out.
    """
    answers = _answers(task.target_kind, perfect_output(task, row)[:, 0], row.targets[:, 0], row.answer_mask[:, 0])
    return Sample(row.inputs[:, 0], answers, {}, _words(task), _classes(task))


def _answers(kind: str, output_TO: Tensor, wanted: Tensor, asked_T: Tensor) -> Answers:
    """The answers of the kind that a task calls `target_kind`, or a batch `refresh_kind`."""
    if kind in ("values", "l2"):
        return Answers("numbers", wanted, output_TO, asked_T)
    if kind in ("bits", "binary"):
        return Answers("bits", wanted, output_TO.sigmoid(), asked_T)
    return Answers("words", wanted, output_TO.softmax(-1), asked_T)


def _reproduced(output_TO: Tensor, row: Batch) -> Answers:
    return _answers(row.refresh_kind, output_TO, row.refresh_target[:, 0], row.refresh_mask[:, 0])


def _words(task: Task) -> tuple[str, ...]:
    return () if task.input_kind == "vector" else task.vocabulary or _numbers(task.input_size)


def _classes(task: Task) -> tuple[str, ...]:
    if task.target_kind != "classes":
        return ()
    same = task.input_kind != "vector" and task.input_size == task.output_size
    return task.classes or (_words(task) if same else _numbers(task.output_size))


def _numbers(count: int) -> tuple[str, ...]:
    return tuple(str(number) for number in range(count))


def spelt(sample: Sample) -> list[str]:
    """What each step of the input shows, in words; empty where it shows vectors."""
    if sample.inputs.is_floating_point():
        return []
    steps = sample.inputs.unsqueeze(-1).flatten(1).tolist()
    return [" ".join(sample.words[token] for token in step if token or len(step) == 1) for step in steps]
