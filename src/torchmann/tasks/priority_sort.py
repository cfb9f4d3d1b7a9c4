"""Priority sort: store bit vectors, each with a priority, and answer those of the highest priorities in order.

Legend: T time, B batch, L stored vectors, C bits of a vector.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from torchmann.core.errors import OptionError, require_positive, unknown_name
from torchmann.tasks.bits import BitTask, Episodes, draw_bits, draw_range, index_where, require_range, select_steps
from torchmann.tasks.scoring import BitLoss
from torchmann.tasks.task import Task

Sorting = Literal["paper", "released"]


class PrioritySort(BitTask):
    """Show n vectors with a priority each; then, on zero inputs, ask for the k of highest priority: n + k steps.

    Graves et al. 2014; armin.md 5.1. Input channels: the bits, then the priority, uniform in [-1, 1).

    Args:
        bits: Width of a vector.
        min_vectors: Fewest vectors that are shown.
        max_vectors: Most vectors that are shown (included).
        answers: k, the vectors that are asked for.
        mode: ``paper``: whole vectors, in falling order of their priorities, the earlier first where two are the same.
            ``released``: each bit channel sorted by itself, ones first, as ARMIN's released generator does. What is
            asked then depends on the number of ones in each channel alone, and not on the priorities.
        loss: ``bit``: mean over the answered bits; ``step``: summed over the channels, mean over batch and
            padded time; ``episode``: summed over channels and answered steps, mean over the batch.
    """

    references = ("ntm",)
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "ntm": {"bits": 8, "min_vectors": 20, "max_vectors": 20, "answers": 16, "loss": "episode"},
        # What the paper describes is mode="paper"; what its numbers were obtained on is what was released.
        "armin": {
            "bits": 8,
            "min_vectors": 40,
            "max_vectors": 40,
            "answers": 30,
            "mode": "released",
            "loss": "bit",
        },
    }

    def __init__(
        self,
        bits: int = 6,
        min_vectors: int = 8,
        max_vectors: int = 8,
        answers: int = 6,
        mode: Sorting = "paper",
        loss: BitLoss = "bit",
    ) -> None:
        super().__init__(bits=bits, flags=1, target_flags=0, loss=loss)
        require_range("vectors", min_vectors, max_vectors)
        require_positive(answers=answers)
        if answers > min_vectors:
            raise OptionError(f"answers must be at most min_vectors={min_vectors}, got {answers}.")
        if mode not in get_args(Sorting):
            raise unknown_name("mode", mode, get_args(Sorting))
        self.min_vectors, self.max_vectors, self.answers = min_vectors, max_vectors, answers
        self.mode = mode
        self.story_steps = max_vectors

    def draw(self, batch_size: int, generator: torch.Generator) -> Episodes:
        """The vectors from step 0, the answers right after them."""
        count_B = draw_range(self.min_vectors, self.max_vectors, batch_size, generator)
        vectors = int(count_B.max())
        step_TB = torch.arange(vectors + self.answers).unsqueeze(1).expand(-1, batch_size)
        shown_TB = step_TB < count_B
        answering_TB = ~shown_TB & (step_TB < count_B + self.answers)

        stored_LB = shown_TB[:vectors]
        values_LBC = draw_bits(vectors, batch_size, self.bits, generator) * stored_LB.unsqueeze(-1)
        priority_LB = 2 * torch.rand(vectors, batch_size, generator=generator) - 1
        sort = sort_by_priority if self.mode == "paper" else sort_channels
        sorted_LBC = sort(values_LBC, priority_LB.masked_fill(~stored_LB, -math.inf))
        return Episodes(
            lengths_B=count_B + self.answers,
            values_LBC=torch.cat([values_LBC, sorted_LBC]),
            input_index_TB=index_where(shown_TB, step_TB),
            target_index_TB=index_where(answering_TB, step_TB - count_B + vectors),
            flags_TBF=F.pad(priority_LB * stored_LB, (0, 0, 0, self.answers)).unsqueeze(-1),
            target_flags_TBG=torch.zeros(*step_TB.shape, 0),
            refresh_mask_TB=shown_TB,
        )

    def longer(self) -> dict[str, Task]:
        """Exactly twice and four times the most vectors trained, as many of them to be answered."""
        return {f"vectors {n}": self._with_vectors(n) for n in (2 * self.max_vectors, 4 * self.max_vectors)}

    def _with_vectors(self, vectors: int) -> PrioritySort:
        return PrioritySort(self.bits, vectors, vectors, self.answers, self.mode, self.normalisation)


def sort_by_priority(vectors_LBC: Tensor, priority_LB: Tensor) -> Tensor:
    """The vectors in falling order of their priorities; the earlier first where two are the same."""
    return select_steps(vectors_LBC, priority_LB.sort(dim=0, descending=True, stable=True).indices)


def sort_channels(vectors_LBC: Tensor, priority_LB: Tensor) -> Tensor:
    """The ones of each channel first, whatever vectors they are from; priorities are of no account."""
    return vectors_LBC.sort(dim=0, descending=True).values
