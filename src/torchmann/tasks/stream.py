"""Streams: tasks whose batches go on where the batch before has ended, such as predicting a long text.

Legend: T time, B batch, N tokens of a text, V vocabulary.
"""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import Tensor

from torchmann.core.errors import OptionError, require_positive
from torchmann.tasks import scoring
from torchmann.tasks.task import Batch, Score, Task, require_request


class StreamTask(Task):
    """A task in which row b of batch ``i + 1`` goes on where row b of batch ``i`` has ended.

    A trainer carries the model's state from batch to batch, cut from the graph (truncated back-propagation), and
    tells the model the absolute number of each batch's first step, by which writing policies go.
    """

    @abstractmethod
    def position(self, index: int, batch_size: int, split: str = "train") -> int:
        """The absolute number of the first step of batch `index`; where it is 0, all rows begin anew."""


class TextStream(StreamTask):
    """Predict each token of a text from those before; the rows of a batch read B consecutive parts of the text.

    After its last token the training text begins anew.

    Args:
        vocabulary: V, the number of different tokens.
        steps: T of every batch but the last of a pass, which takes what is left.
    """

    input_kind = "tokens"
    target_kind = "classes"
    metric = "accuracy"

    def __init__(self, *, vocabulary: int, steps: int) -> None:
        require_positive(steps=steps)
        self.input_size = self.output_size = vocabulary
        self.steps = steps

    @abstractmethod
    def text(self, split: str, seed: int) -> Tensor:
        """The tokens ``[N]`` of a split, whole numbers of any type; a text of its own for each seed, or one for all."""

    @abstractmethod
    def text_length(self, split: str) -> int:
        """N, at least 2."""

    def position(self, index: int, batch_size: int, split: str = "train") -> int:
        """See `StreamTask.position`."""
        return index % self._batches_of_a_pass(split, batch_size) * self.steps

    def batches(self, split: str, batch_size: int) -> int | None:
        """Batches that cover a held-out text once; None for training, which never ends."""
        require_request(0, batch_size, split)
        return None if split == "train" else self._batches_of_a_pass(split, batch_size)

    def batch(self, index: int, batch_size: int, *, seed: int, split: str = "train") -> Batch:
        """See `Task.batch`."""
        require_request(index, batch_size, split)
        start, row_length = self.position(index, batch_size, split), self._row_length(split, batch_size)
        if split != "train" and index * self.steps >= row_length:
            raise OptionError(f"split {split!r} has no batch {index}: batches() tells how many there are.")
        stop = min(start + self.steps, row_length)
        tokens_TB = self.text(split, seed)[: batch_size * row_length + 1].unfold(0, row_length + 1, row_length).T
        everywhere_TB = torch.ones(stop - start, batch_size, dtype=torch.bool)
        inputs_TB = tokens_TB[start:stop].long().contiguous()
        return Batch(
            inputs=inputs_TB,
            targets=tokens_TB[start + 1 : stop + 1].long().contiguous(),
            lengths=torch.full((batch_size,), stop - start),
            answer_mask=everywhere_TB,
            refresh_mask=everywhere_TB,
            refresh_target=inputs_TB,
            refresh_kind="tokens",
            first_answer_step=0,
        )

    def step_loss(self, output_TBO: Tensor, batch: Batch) -> Tensor:
        """Softmax cross entropy (nats) of the next token."""
        scoring.require_output(output_TBO, batch, self.output_size)
        return scoring.word_losses(output_TBO, batch.targets)

    def divisor(self, batch: Batch) -> Tensor:
        """The number of tokens."""
        return scoring.divisor(batch.answer_mask, 1, "word")

    @torch.no_grad()
    def scores(self, output_TBO: Tensor, batch: Batch) -> dict[str, Score]:
        """``accuracy`` of the most likely token, and ``bits``: cross entropy in bits per token; low is good."""
        losses_TB = self.step_loss(output_TBO, batch)
        tokens = torch.ones_like(losses_TB).sum()
        right_TB = output_TBO.argmax(-1) == batch.targets
        return {
            "accuracy": Score(right_TB.sum().float(), tokens),
            "bits": Score(losses_TB.sum() / math.log(2), tokens),
        }

    def _row_length(self, split: str, batch_size: int) -> int:
        """Tokens that a row reads in a pass; the last token of the text is only predicted."""
        length = (self.text_length(split) - 1) // batch_size
        if not length:
            raise OptionError(
                f"batch_size must be below {self.text_length(split)}, the tokens of split {split!r}, got {batch_size}."
            )
        return length

    def _batches_of_a_pass(self, split: str, batch_size: int) -> int:
        return -(-self._row_length(split, batch_size) // self.steps)
