"""The tasks on symbols of the uniform-writing study: read a sequence, then answer another that follows from it.

Legend: T time, B batch, L symbols of the longest sequence, O output.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from torchmann.core.errors import require_positive
from torchmann.tasks import scoring
from torchmann.tasks.bits import draw_range, require_range
from torchmann.tasks.task import Batch, Score, Task, random_stream, require_request

TERMINATOR = 0
"""The class that ends both the sequence that is shown and the answer; symbols are the classes from 1."""


class SymbolTask(Task):
    """Show L random symbols and the terminator; then, on zero inputs, ask for other symbols and the terminator.

    Le et al. 2019; dnc.md 5. Inputs are one-hot, the terminator on channel 0. The first answer is one step after the
    terminator; there are L + 1 steps before it, and as many after as `answers` says and one.

    Args:
        min_length: Shortest sequence, in symbols.
        max_length: Longest sequence, in symbols (included).
        symbols: Different symbols, drawn uniformly.
    """

    input_kind = "vector"
    target_kind = "classes"
    metric = "position_accuracy"
    references = ("uw",)
    # The text has 10 symbols; the released generator draws 9 of its 10 classes, for one is the terminator. The study
    # has both length 50 and length 100.
    presets: ClassVar[dict[str, dict[str, Any]]] = {"uw": {"min_length": 50, "max_length": 50, "symbols": 9}}

    def __init__(self, min_length: int = 1, max_length: int = 10, symbols: int = 9) -> None:
        require_range("length", min_length, max_length)
        require_positive(symbols=symbols)
        self.min_length, self.max_length, self.symbols = min_length, max_length, symbols
        self.input_size = self.output_size = symbols + 1
        self.story_steps = max_length + 1

    @abstractmethod
    def answer(self, symbols_LB: Tensor, place_TB: Tensor, length_B: Tensor) -> Tensor:
        """The symbols ``[T, B]`` at places of the answer, counted from 0.

        Args:
            symbols_LB: what is shown.
            place_TB: any numbers; what is returned where a row's answer has no such place does not matter.
            length_B: the symbols that are shown of each row.
        """

    def answers(self, length_B: Tensor) -> Tensor:
        """The symbols that are asked for, ``[B]``, without the terminator."""
        return length_B

    def batch(self, index: int, batch_size: int, *, seed: int, split: str = "train") -> Batch:
        """See `Task.batch`; every (seed, split, index) is its own random stream and no split ends."""
        require_request(index, batch_size, split)
        generator = random_stream(seed, split, index)
        length_B = draw_range(self.min_length, self.max_length, batch_size, generator)
        symbols_LB = torch.randint(1, self.symbols + 1, (int(length_B.max()), batch_size), generator=generator)
        answers_B = self.answers(length_B)
        lengths_B = length_B + answers_B + 2
        step_TB = torch.arange(int(lengths_B.max())).unsqueeze(1).expand(-1, batch_size)
        shown_TB = torch.where(step_TB < length_B, symbols_at(symbols_LB, step_TB), TERMINATOR)
        place_TB = step_TB - length_B - 1
        asked_TB = (place_TB >= 0) & (place_TB < answers_B)
        return Batch(
            inputs=F.one_hot(shown_TB, self.input_size).float() * (step_TB <= length_B).unsqueeze(-1),
            targets=torch.where(asked_TB, self.answer(symbols_LB, place_TB, length_B), TERMINATOR),
            lengths=lengths_B,
            answer_mask=asked_TB | (place_TB == answers_B),
            refresh_mask=step_TB < length_B,
            refresh_target=shown_TB,
            refresh_kind="tokens",
            first_answer_step=int(length_B.min()) + 1,
        )

    def step_loss(self, output_TBO: Tensor, batch: Batch) -> Tensor:
        """Softmax cross entropy (nats)."""
        scoring.require_output(output_TBO, batch, self.output_size)
        return scoring.word_losses(output_TBO, batch.targets)

    def divisor(self, batch: Batch) -> Tensor:
        """The number of answered steps."""
        return scoring.divisor(batch.answer_mask, 1, "word")

    def scores(self, output_TBO: Tensor, batch: Batch) -> dict[str, Score]:
        """``position_accuracy``, ``sequence_accuracy`` and ``cross_entropy``; see `scoring.class_scores`."""
        scoring.require_output(output_TBO, batch, self.output_size)
        return scoring.class_scores(output_TBO, batch.targets, batch.answer_mask)

    def longer(self) -> dict[str, Task]:
        """Exactly twice and four times the longest trained length."""
        lengths = (2 * self.max_length, 4 * self.max_length)
        return {f"length {length}": type(self)(length, length, self.symbols) for length in lengths}


def symbols_at(symbols_LB: Tensor, index_TB: Tensor) -> Tensor:
    """The symbols ``[T, B]`` at `index_TB`; an index beyond either end counts as that end."""
    return symbols_LB.gather(0, index_TB.clamp(0, len(symbols_LB) - 1))


class SymbolCopy(SymbolTask):
    """Answer the symbols in their order: 2 L + 2 steps."""

    def answer(self, symbols_LB: Tensor, place_TB: Tensor, length_B: Tensor) -> Tensor:
        """See `SymbolTask.answer`."""
        return symbols_at(symbols_LB, place_TB)


class Double(SymbolTask):
    """Answer the symbols in their order, twice: 3 L + 2 steps."""

    def answer(self, symbols_LB: Tensor, place_TB: Tensor, length_B: Tensor) -> Tensor:
        """See `SymbolTask.answer`."""
        return symbols_at(symbols_LB, place_TB % length_B)

    def answers(self, length_B: Tensor) -> Tensor:
        """2 L."""
        return 2 * length_B


class Reverse(SymbolTask):
    """Answer the symbols from the last to the first: 2 L + 2 steps."""

    def answer(self, symbols_LB: Tensor, place_TB: Tensor, length_B: Tensor) -> Tensor:
        """See `SymbolTask.answer`."""
        return symbols_at(symbols_LB, length_B - 1 - place_TB)


class PairTask(SymbolTask):
    """One answer for each pair of symbols; a symbol that is left without a partner does not matter."""

    def answers(self, length_B: Tensor) -> Tensor:
        """L / 2, rounded down."""
        return length_B // 2


class Add(PairTask):
    """Answer the mean of the i-th symbol and the i-th from the end, rounded down: L + L / 2 + 2 steps.

    As released; the text pairs the symbols t and L - t.
    """

    def answer(self, symbols_LB: Tensor, place_TB: Tensor, length_B: Tensor) -> Tensor:
        """See `SymbolTask.answer`."""
        return (symbols_at(symbols_LB, place_TB) + symbols_at(symbols_LB, length_B - 1 - place_TB)) // 2


class Max(PairTask):
    """Answer the larger of each two neighbours: L + L / 2 + 2 steps."""

    presets: ClassVar[dict[str, dict[str, Any]]] = {"uw": {"min_length": 50, "max_length": 50, "symbols": 50}}

    def answer(self, symbols_LB: Tensor, place_TB: Tensor, length_B: Tensor) -> Tensor:
        """See `SymbolTask.answer`."""
        return torch.maximum(symbols_at(symbols_LB, 2 * place_TB), symbols_at(symbols_LB, 2 * place_TB + 1))
