"""Markov text: a small language whose next symbol depends on the two before."""

from __future__ import annotations

import random
from functools import lru_cache

import torch
from torch import Tensor

from torchmann.core.errors import OptionError, require_positive
from torchmann.tasks.stream import TextStream
from torchmann.tasks.task import SPLITS


class MarkovText(TextStream):
    """Predict a text drawn from a Markov chain of second order: a stream to try a model on before a real text.

    After each pair of symbols one symbol is likely; which one is the language's, the same for every text.

    Args:
        symbols: Different symbols.
        steps: Symbols of each row in a batch.
        length: Symbols of the training text; the held-out texts have a tenth of it.
        regularity: Probability of the likely symbol; else any symbol comes, the likely one as well.
    """

    def __init__(self, symbols: int = 6, steps: int = 20, length: int = 10_000, regularity: float = 0.9) -> None:
        require_positive(symbols=symbols, length=length)
        if not 0 <= regularity <= 1:
            raise OptionError(f"regularity must be in [0, 1], got {regularity}.")
        if length < 20:
            raise OptionError(f"length must be at least 20, so that the held-out texts have 2 symbols, got {length}.")
        super().__init__(vocabulary=symbols, steps=steps)
        self.length, self.regularity = length, regularity

    def text_length(self, split: str) -> int:
        """The training text's, or a tenth of it."""
        return self.length if split == "train" else self.length // 10

    def text(self, split: str, seed: int) -> Tensor:
        """A text of its own for each split and seed."""
        return _draw(self.input_size, self.regularity, self.text_length(split), f"{seed}/{SPLITS.index(split)}")


@lru_cache(maxsize=8)
def _draw(symbols: int, regularity: float, length: int, name: str) -> Tensor:
    language, draws = random.Random(symbols), random.Random(name)
    likely = [[language.randrange(symbols) for _ in range(symbols)] for _ in range(symbols)]
    before, last, text = 0, 0, []
    for _ in range(length):
        after = likely[before][last] if draws.random() < regularity else draws.randrange(symbols)
        text.append(after)
        before, last = last, after
    return torch.tensor(text)
