"""What the algorithmic tasks share: random bits, arranged in time by index, and their loss and scores.

Legend: T time, B batch, L stored vectors, C bits of a vector, F input flags, G output flags.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor

from torchmann.core.errors import OptionError, require_positive
from torchmann.tasks import scoring
from torchmann.tasks.scoring import BitLoss
from torchmann.tasks.task import Batch, Score, Task, random_stream, require_request


class Episodes(NamedTuple):
    """Drawn sequences, told by where each step takes its bits from; index -1 means no bits at that step."""

    lengths_B: Tensor
    values_LBC: Tensor  # the random bits
    input_index_TB: Tensor  # which vector is shown
    target_index_TB: Tensor  # which vector is asked for
    flags_TBF: Tensor
    target_flags_TBG: Tensor
    refresh_mask_TB: Tensor


class BitTask(Task):
    """A task on random bit vectors; the output is one logit per bit (and per output flag)."""

    input_kind = "vector"
    target_kind = "bits"
    metric = "bit_accuracy"

    def __init__(self, *, bits: int, flags: int, target_flags: int, loss: BitLoss, flags_first: bool = False) -> None:
        require_positive(bits=bits)
        scoring.require_normalisation(loss, BitLoss)
        self.bits = bits
        self.flags_first = flags_first
        self.normalisation = loss
        self.input_size = bits + flags
        self.output_size = bits + target_flags
        self.scored = slice(0, self.output_size)  # output channels that the scores look at

    @abstractmethod
    def draw(self, batch_size: int, generator: torch.Generator) -> Episodes:
        """Draw `batch_size` sequences."""

    def batch(self, index: int, batch_size: int, *, seed: int, split: str = "train") -> Batch:
        """See `Task.batch`; every (seed, split, index) is its own random stream and no split ends."""
        require_request(index, batch_size, split)
        drawn = self.draw(batch_size, random_stream(seed, split, index))
        shown_TBC = select_steps(drawn.values_LBC, drawn.input_index_TB)
        asked_TBC = select_steps(drawn.values_LBC, drawn.target_index_TB)
        answer_mask = drawn.target_index_TB >= 0
        if self.output_size > self.bits:
            answer_mask = answer_mask | drawn.target_flags_TBG.bool().any(-1)
        return Batch(
            inputs=self._join(shown_TBC, drawn.flags_TBF),
            targets=self._join(asked_TBC, drawn.target_flags_TBG),
            lengths=drawn.lengths_B,
            answer_mask=answer_mask,
            refresh_mask=drawn.refresh_mask_TB,
            refresh_target=self._join(shown_TBC, torch.zeros_like(drawn.target_flags_TBG)),
            refresh_kind="binary",
            first_answer_step=int(answer_mask.any(1).int().argmax()),
        )

    def _join(self, bits_TBC: Tensor, flags: Tensor) -> Tensor:
        if not flags.shape[-1]:
            return bits_TBC
        return torch.cat([flags, bits_TBC] if self.flags_first else [bits_TBC, flags], dim=-1)

    def step_loss(self, output_TBO: Tensor, batch: Batch) -> Tensor:
        """Sigmoid cross entropy (nats), summed over all output channels."""
        scoring.require_output(output_TBO, batch, self.output_size)
        return scoring.bit_losses(output_TBO, batch.targets).sum(-1)

    def divisor(self, batch: Batch) -> Tensor:
        """As the keyword ``loss`` of the task says."""
        return scoring.divisor(batch.answer_mask, self.output_size, self.normalisation)

    def scores(self, output_TBO: Tensor, batch: Batch) -> dict[str, Score]:
        """``bit_accuracy`` and others; see `scoring.bit_scores`."""
        scoring.require_output(output_TBO, batch, self.output_size)
        return scoring.bit_scores(output_TBO[..., self.scored], batch.targets[..., self.scored], batch.answer_mask)


class FlaggedBitTask(BitTask):
    """A task with two input flags: one opens what is to be stored, the other asks for the answer.

    With `flag_targets` the output has the two flag channels too, as some papers train them: their target is
    always 0. The loss counts them, the scores do not, for they would only flatter the accuracy.
    """

    def __init__(self, *, bits: int, flag_targets: bool, flags_first: bool, loss: BitLoss) -> None:
        super().__init__(bits=bits, flags=2, target_flags=2 if flag_targets else 0, loss=loss, flags_first=flags_first)
        self.flag_targets = flag_targets
        if flag_targets:
            self.scored = slice(2, None) if flags_first else slice(0, bits)

    def _flags(self, store_TB: Tensor, ask_TB: Tensor) -> tuple[Tensor, Tensor]:
        """The input flags and the (always zero) output flags."""
        flags_TBF = torch.stack([store_TB, ask_TB], dim=-1).float()
        return flags_TBF, torch.zeros_like(flags_TBF)[..., : self.output_size - self.bits]


def select_steps(values_LBC: Tensor, index_TB: Tensor) -> Tensor:
    """The vectors named by `index_TB`, ``[T, B, C]``; zeros where the index is -1."""
    index_TBC = index_TB.clamp(min=0).unsqueeze(-1).expand(-1, -1, values_LBC.shape[-1])
    return values_LBC.gather(0, index_TBC) * (index_TB >= 0).unsqueeze(-1)


def index_where(mask: Tensor, index: Tensor) -> Tensor:
    """`index` where `mask` holds, else -1."""
    return torch.where(mask, index, -1)


def draw_bits(count: int, batch_size: int, bits: int, generator: torch.Generator) -> Tensor:
    """Fair coin flips ``[count, batch_size, bits]``."""
    return torch.randint(0, 2, (count, batch_size, bits), generator=generator).float()


def draw_range(low: int, high: int, batch_size: int, generator: torch.Generator) -> Tensor:
    """Integers ``[batch_size]``, uniform from `low` to `high`, both included."""
    return torch.randint(low, high + 1, (batch_size,), generator=generator)


def draw_below(bound_B: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Integers ``[count, B]``, uniform from 0 up to each row's bound, which is excluded."""
    uniform = torch.rand(count, len(bound_B), generator=generator, dtype=torch.float64)
    return (uniform * bound_B).long()


def require_range(name: str, low: int, high: int, at_least: int = 1) -> None:
    """Raise `OptionError` unless ``at_least <= low <= high``."""
    if not at_least <= low <= high:
        raise OptionError(
            f"min_{name} and max_{name} must satisfy {at_least} <= min_{name} <= max_{name}, "
            f"got min_{name}={low} and max_{name}={high}."
        )
