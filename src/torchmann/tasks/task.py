"""What a task is: it draws batches, gives the loss of an output, and scores it.

Legend: T time, B batch, I input, O output.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor

from torchmann.core.errors import OptionError, require_positive, unknown_name

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Batch:
    """One batch of sequences, time first; everything on padding is zero or False.

    Attributes:
        inputs: ``[T, B, I]`` float32, ``[T, B]`` int64 tokens, or ``[T, B, L]`` int64 sentences of at most L tokens.
        targets: ``[T, B, O]`` float32 bits or values, or ``[T, B]`` int64 classes; zero where nothing is answered.
        lengths: ``[B]`` int64 on the CPU: valid steps of each row.
        answer_mask: ``[T, B]`` bool: the steps that are scored.
        refresh_mask: ``[T, B]`` bool: input steps that memory refreshing may reproduce (may overlap
            ``answer_mask``).
        refresh_target: what refreshing reproduces, time-aligned with ``inputs``: tokens ``[T, B]``, or
            ``[T, B, size]`` with size = the task's ``refresh_size``, or its ``output_size`` where that is 0.
        refresh_kind: ``"binary"``, ``"tokens"`` or ``"l2"``: the loss that suits ``refresh_target``.
        first_answer_step: the first step at which any row answers.
    """

    inputs: Tensor
    targets: Tensor
    lengths: Tensor
    answer_mask: Tensor
    refresh_mask: Tensor
    refresh_target: Tensor
    refresh_kind: str
    first_answer_step: int

    @property
    def batch_size(self) -> int:
        """The number of rows."""
        return self.inputs.shape[1]

    def rows(self, rows: slice) -> Batch:
        """Some of the rows, padded as they were."""
        return self._each_tensor(lambda value: value[:, rows] if value.dim() > 1 else value[rows])

    def steps(self, start: int, stop: int) -> Batch:
        """The steps from `start` up to `stop`; a row that has ended before keeps one step of its padding."""
        part = self._each_tensor(lambda value: value[start:stop] if value.dim() > 1 else value)
        lengths = (self.lengths - start).clamp(1, stop - start)
        return replace(part, lengths=lengths, first_answer_step=max(0, self.first_answer_step - start))

    def _each_tensor(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """With every tensor changed; each is ``[T, B, ...]`` or ``[B]``."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        changed: dict[str, Any] = {name: change(value) for name, value in values.items() if isinstance(value, Tensor)}
        return replace(self, **changed)

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on `device`, copied without blocking; ``lengths`` stay on the CPU."""
        if self.inputs.device == torch.device(device):
            return self
        to_gpu = torch.device(device).type != "cpu"  # the CPU would not wait for what comes from there
        tensors: dict[str, Any] = {
            field.name: value.to(device, non_blocking=to_gpu)
            for field in fields(self)
            if field.name != "lengths" and isinstance(value := getattr(self, field.name), Tensor)
        }
        return replace(self, **tensors)


class Score(NamedTuple):
    """A mean kept as two 0-dim sums, so that the scores of batches add up: mean = total / weight.

    The weight is zero where a batch has nothing to score (one task of many that is absent from it).
    """

    total: Tensor
    weight: Tensor


class Task(ABC):
    """A source of batches with its loss and its scores.

    Attributes:
        input_kind: what a step shows: a ``"vector"``, one of the ``"tokens"``, or one of the ``"sentences"``.
        target_kind: what is answered: ``"bits"``, one logit each; ``"classes"``, one of them at a step, a logit each;
            or ``"values"``, real numbers that the output gives as they are.
        input_size: features of an input vector, or size of the vocabulary (0 is padding inside a sentence).
        output_size: units that the answer needs.
        refresh_size: output units that memory refreshing needs beyond ``output_size``; 0 where the output
            shares the input's alphabet.
        sentence_length: L, words of the longest sentence, to which all are padded with 0; None without sentences.
        metric: name of the primary score; higher is better.
        vocabulary: what the tokens of the input are called; empty if they have no names.
        classes: what the classes of the answers are called; empty if they are those of the input, or have no names.
        story_steps: most steps before the first answer, from which a writing interval may be derived; None: unknown.
        needs_data: whether it cannot be made without a data set on this machine, which decides on its sizes, too.
        presets: the papers' exact variants: name -> constructor keywords.
        references: where the task comes from, as keys of `REFERENCES` in `torchmann.core.references`; the names of
            the presets are such keys, too.
    """

    input_kind: Literal["vector", "tokens", "sentences"]
    target_kind: Literal["bits", "classes", "values"]
    input_size: int
    output_size: int
    refresh_size: int = 0
    sentence_length: int | None = None
    metric: str
    vocabulary: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    story_steps: int | None = None
    needs_data: ClassVar[bool] = False
    presets: ClassVar[dict[str, dict[str, Any]]] = {}
    references: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def batch(self, index: int, batch_size: int, *, seed: int, split: str = "train") -> Batch:
        """Batch number `index` of a split: a pure function of its arguments, drawn on the CPU.

        Args:
            index: number of the batch, from 0.
            batch_size: number of rows; the last batch of a finite split may have fewer.
            seed: names the stream of random numbers.
            split: ``"train"``, ``"validation"`` or ``"test"``.
        """

    def loss(self, output_TBO: Tensor, batch: Batch) -> Tensor:
        """The training loss of an output of logits, 0-dim; it depends on the answered steps only."""
        return (self.step_loss(output_TBO, batch) * batch.answer_mask).sum() / self.divisor(batch)

    def step_loss(self, output_TBO: Tensor, batch: Batch) -> Tensor:
        """The loss of each step ``[T, B]``, as if all were answered; refreshing and chunks weigh them themselves."""
        raise self._without_step_loss()

    def divisor(self, batch: Batch) -> Tensor:
        """What `loss` divides the sum of the answered steps' losses by, 0-dim."""
        raise self._without_step_loss()

    def _without_step_loss(self) -> TypeError:
        return TypeError(
            f"{type(self).__name__} must define step_loss and divisor to be trained with refreshing, in chunks or by "
            "several processes."
        )

    @abstractmethod
    def scores(self, output_TBO: Tensor, batch: Batch) -> dict[str, Score]:
        """Scores by name, among them `metric`; the sums of batches add."""

    def batches(self, split: str, batch_size: int) -> int | None:
        """The number of batches in a finite split; None where batches never end."""
        require_request(0, batch_size, split)
        return None

    @property
    def word_vectors(self) -> Tensor | None:
        """``[input_size, D]``: what an embedding of the tokens starts from; None leaves that to the model."""
        return None

    def longer(self) -> dict[str, Task]:
        """The same task at sizes beyond the trained ones, by label; empty where there are none."""
        return {}


def require_request(index: int, batch_size: int, split: str) -> None:
    """Raise `OptionError` unless a batch can be asked for like this."""
    if split not in SPLITS:
        raise unknown_name("split", split, SPLITS)
    require_positive(batch_size=batch_size)
    if index < 0:
        raise OptionError(f"index of a batch must be at least 0, got {index}.")


def random_stream(seed: int, split: str, index: int) -> torch.Generator:
    """The random numbers of one batch: the same for the same arguments, on every machine.

    torch's CPU generator takes 32 bits of a seed. Two of them name the split, so no held-out stream can
    coincide with a training stream; the others are a hash of all three arguments.
    """
    digest = hashlib.blake2b(f"{seed}/{split}/{index}".encode(), digest_size=4).digest()
    hashed = int.from_bytes(digest, "big") >> 2
    return torch.Generator().manual_seed(hashed << 2 | SPLITS.index(split))
