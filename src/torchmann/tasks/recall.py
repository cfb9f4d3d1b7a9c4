"""Associative recall: store a list of items; shown one of them, answer the item that followed it.

Legend: T time, B batch, Q queries.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from torchmann.core.errors import OptionError, require_positive
from torchmann.tasks.bits import (
    Episodes,
    FlaggedBitTask,
    draw_below,
    draw_bits,
    draw_range,
    index_where,
    require_range,
)
from torchmann.tasks.scoring import BitLoss
from torchmann.tasks.task import Task


class AssociativeRecall(FlaggedBitTask):
    """Show n items of k vectors; each query shows one and asks for the next: (k + 1) (n + 2 q) steps.

    Graves et al. 2014; dam.md 4.2, armin.md 5.1, ntm.md 6. Every item follows a step with the first flag. A
    query is the second flag, the k vectors of an item that is not the last, the second flag again, and k
    silent steps for the answer.

    Args:
        bits: Width of a vector.
        item_length: Vectors of an item.
        min_items: Fewest items; at least 2.
        max_items: Most items (included).
        max_queries: Most queries of an episode, drawn uniformly from 1; None: up to its number of items.
        flag_targets: Give the output two channels for the flags as well, with target 0.
        flags_first: Put the flag channels before the data channels.
        loss: ``bit``: mean over the answered bits; ``step``: summed over the channels, mean over batch and
            padded time; ``episode``: summed over channels and answered steps, mean over the batch.
    """

    references = ("ntm",)
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "dam": {"bits": 8, "min_items": 2, "max_items": 8, "flag_targets": True, "loss": "step"},
        # The released generator excludes the upper bound: 2..5 for "2-6 pairs".
        "armin": {"bits": 6, "min_items": 2, "max_items": 5, "loss": "bit"},
        "ntm": {
            "bits": 8,
            "min_items": 2,
            "max_items": 6,
            "max_queries": None,
            "flag_targets": True,
            "flags_first": True,
            "loss": "episode",
        },
    }

    def __init__(
        self,
        bits: int = 6,
        item_length: int = 3,
        min_items: int = 2,
        max_items: int = 6,
        max_queries: int | None = 1,
        flag_targets: bool = False,
        flags_first: bool = False,
        loss: BitLoss = "bit",
    ) -> None:
        super().__init__(bits=bits, flag_targets=flag_targets, flags_first=flags_first, loss=loss)
        require_positive(item_length=item_length)
        require_range("items", min_items, max_items, at_least=2)
        if max_queries is not None and max_queries < 1:
            raise OptionError(f"max_queries must be at least 1, or None (as many as items), got {max_queries}.")
        self.item_length = item_length
        self.min_items, self.max_items = min_items, max_items
        self.max_queries = max_queries
        self.story_steps = (max_items + 1) * (item_length + 1) + 1  # the items, the first query and its second flag

    def draw(self, batch_size: int, generator: torch.Generator) -> Episodes:
        """Items first, each after a flag; then the queries, each of 2 (k + 1) steps."""
        k = self.item_length
        items_B = draw_range(self.min_items, self.max_items, batch_size, generator)
        bound_B = items_B if self.max_queries is None else torch.full_like(items_B, self.max_queries)
        queries_B = 1 + draw_below(bound_B, 1, generator)[0]
        queried_QB = draw_below(items_B - 1, int(queries_B.max()), generator)
        values_LBC = draw_bits(int(items_B.max()) * k, batch_size, self.bits, generator)

        stored_B = items_B * (k + 1)
        lengths_B = stored_B + queries_B * 2 * (k + 1)
        step_TB = torch.arange(int(lengths_B.max())).unsqueeze(1).expand(-1, batch_size)
        storing_TB = step_TB < stored_B
        asking_TB = ~storing_TB & (step_TB < lengths_B)

        place_TB = step_TB % (k + 1)  # 0 is a flag, 1..k a vector
        into_queries_TB = (step_TB - stored_B).clamp(min=0)
        query_TB = (into_queries_TB // (2 * (k + 1))).clamp(max=len(queried_QB) - 1)
        answering_TB = asking_TB & (into_queries_TB % (2 * (k + 1)) > k)  # second half: flag, then answers
        queried_TB = queried_QB.gather(0, query_TB)
        shown_item_TB = torch.where(storing_TB, step_TB // (k + 1), queried_TB)
        showing_TB = storing_TB | (asking_TB & ~answering_TB)

        flag_TB = place_TB == 0  # stored_B is a multiple of k + 1, so this holds in the queries too
        flags_TBF, target_flags_TBG = self._flags(flag_TB & storing_TB, flag_TB & asking_TB)
        return Episodes(
            lengths_B=lengths_B,
            values_LBC=values_LBC,
            input_index_TB=index_where(showing_TB & ~flag_TB, shown_item_TB * k + place_TB - 1),
            target_index_TB=index_where(answering_TB & ~flag_TB, (queried_TB + 1) * k + place_TB - 1),
            flags_TBF=flags_TBF,
            target_flags_TBG=target_flags_TBG,
            refresh_mask_TB=storing_TB & ~flag_TB,
        )

    def longer(self) -> dict[str, Task]:
        """Exactly twice and four times the most items trained."""
        return {f"items {n}": self._with_items(n) for n in (2 * self.max_items, 4 * self.max_items)}

    def _with_items(self, items: int) -> AssociativeRecall:
        return AssociativeRecall(
            self.bits,
            self.item_length,
            items,
            items,
            self.max_queries,
            self.flag_targets,
            self.flags_first,
            self.normalisation,
        )
