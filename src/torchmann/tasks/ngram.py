"""Dynamic N-grams: predict the bits of a sequence whose statistics are new each time.

Legend: T time, B batch, L bits of the longest sequence, C contexts, N bits of a context, K scored steps.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from torchmann.core.errors import require_positive
from torchmann.tasks.bits import BitTask, Episodes, draw_range, index_where, require_range
from torchmann.tasks.scoring import BitLoss
from torchmann.tasks.task import Batch, Score, Task

SCORES = ("bit_accuracy", "bit_cross_entropy", "bits_per_sequence")


class NGram(BitTask):
    """Show a random sequence bit by bit and ask at each step for the next bit: L - 1 steps.

    Graves et al. 2014, section 4.4. For each context, which is the last N bits, a sequence has a probability of a one,
    drawn from Beta(1/2, 1/2); its first N bits are fair. Only bits that follow a whole context are asked for. No
    model can foresee all bits: `optimal_logits` says what can be known.

    Args:
        context: N; an N-gram in the paper's words has one more.
        min_length: Fewest bits of a sequence; more than `context`.
        max_length: Most bits of a sequence (included).
        loss: ``bit``: mean over the answered bits; ``step``: mean over batch and padded time; ``episode``: summed
            over the answered steps, mean over the batch.
    """

    references = ("ntm",)
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "ntm": {"context": 5, "min_length": 200, "max_length": 200, "loss": "episode"}
    }

    def __init__(self, context: int = 2, min_length: int = 50, max_length: int = 50, loss: BitLoss = "bit") -> None:
        super().__init__(bits=1, flags=0, target_flags=0, loss=loss)
        require_positive(context=context)
        require_range("length", min_length, max_length, at_least=context + 1)
        self.context, self.min_length, self.max_length = context, min_length, max_length

    def draw(self, batch_size: int, generator: torch.Generator) -> Episodes:
        """At step t bit t is shown and bit t + 1 asked for."""
        length_B = draw_range(self.min_length, self.max_length, batch_size, generator)
        bits_LB = draw_sequences(int(length_B.max()), batch_size, self.context, generator)
        step_TB = torch.arange(len(bits_LB) - 1).unsqueeze(1).expand(-1, batch_size)
        shown_TB = step_TB < length_B - 1
        return Episodes(
            lengths_B=length_B - 1,
            values_LBC=bits_LB.unsqueeze(-1),
            input_index_TB=index_where(shown_TB, step_TB),
            target_index_TB=index_where(shown_TB & (step_TB >= self.context - 1), step_TB + 1),
            flags_TBF=torch.zeros(*step_TB.shape, 0),
            target_flags_TBG=torch.zeros(*step_TB.shape, 0),
            refresh_mask_TB=shown_TB,
        )

    def scores(self, output_TBO: Tensor, batch: Batch) -> dict[str, Score]:
        """``bit_accuracy``, ``bit_cross_entropy`` (nats) and ``bits_per_sequence`` (the cost of a whole sequence), of
        the output and, named ``optimal_...``, of the best predictor on the same sequences."""
        best_TBO = optimal_logits(batch, self.context)
        reached, possible = super().scores(output_TBO, batch), super().scores(best_TBO, batch)
        return {name: reached[name] for name in SCORES} | {f"optimal_{name}": possible[name] for name in SCORES}

    def longer(self) -> dict[str, Task]:
        """Exactly twice and four times the longest trained length."""
        lengths = (2 * self.max_length, 4 * self.max_length)
        return {f"length {n}": NGram(self.context, n, n, self.normalisation) for n in lengths}


def draw_sequences(length: int, batch_size: int, context: int, generator: torch.Generator) -> Tensor:
    """Bits ``[length, batch_size]``, each row with probabilities of its own."""
    # The arcsine law: sin(u pi / 2)^2 of a uniform u is Beta(1/2, 1/2).
    probability_CB = (torch.rand(2**context, batch_size, generator=generator) * math.pi / 2).sin().square()
    uniform_LB = torch.rand(length, batch_size, generator=generator)
    bits = list(uniform_LB[:context] < 0.5)
    context_B = _number(torch.stack(bits, dim=-1).long())
    for uniform_B in uniform_LB[context:]:
        bits.append(uniform_B < probability_CB.gather(0, context_B.unsqueeze(0))[0])
        context_B = (2 * context_B + bits[-1]) % len(probability_CB)
    return torch.stack(bits).float()


def optimal_logits(batch: Batch, context: int) -> Tensor:
    """The best prediction ``[T, B, 1]`` from the bits so far: log((n1 + 1/2) / (n0 + 1/2)).

    n1 and n0 count the ones and zeros that have followed the present context in this sequence (Graves et al. 2014,
    eq. 10; Murphy 2012).
    """
    context_KB = _number(batch.inputs[..., 0].long().unfold(0, context, 1))
    following_KB1 = batch.targets[context - 1 :]
    met_KBC = F.one_hot(context_KB, 2**context)
    met_before_KBC = met_KBC.cumsum(0) - met_KBC
    ones_KBC = met_KBC * following_KB1
    ones_before_KBC = ones_KBC.cumsum(0) - ones_KBC
    met_KB1, ones_KB1 = (count.gather(-1, context_KB.unsqueeze(-1)) for count in (met_before_KBC, ones_before_KBC))
    logits_KB1 = torch.log((ones_KB1 + 0.5) / (met_KB1 - ones_KB1 + 0.5))
    return F.pad(logits_KB1, (0, 0, 0, 0, context - 1, 0))


def _number(bits_N: Tensor) -> Tensor:
    """The last dimension read as a binary number, the first bit the most significant."""
    powers_N = 2 ** torch.arange(bits_N.shape[-1] - 1, -1, -1, device=bits_N.device)
    return (bits_N * powers_N).sum(-1)
