"""The sparse DNC: sparse access memory with a sparse version of the DNC's temporal links.

Shapes: B batch, R read heads, V write heads, N slots, W width, K slots that a head reads.
Source: Rae et al. 2016, supplement on the sparse differentiable neural computer.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from torchmann.core.errors import require_positive, unknown_name
from torchmann.memories.fields import Fields
from torchmann.memories.search import largest
from torchmann.memories.sparse import SparseMemory, SparseState, dense, require_at_most, rows_at
from torchmann.memories.sparse_links import LinkRule, SparseLinks, directional_weighting, empty_rows, updated_links


class SparseDNCMemory(SparseMemory):
    """A sparse access memory whose read heads may follow the order in which slots were written.

    Written as in `SparseMemory`. A head reads ``w^R = pi[back] b + pi[content] c + pi[forward] f``, of which the K
    largest weights are kept as they are.

    Args:
        slots: N.
        width: W.
        link_entries: entries that each row of the links and the precedence keep.
        link_rule: how links fade: ``"one_factor"``, or with both factors as in the ``"dnc"``.
        **options: those of `SparseMemory`.

    Raises:
        OptionError: as `SparseMemory`, more entries than slots, or an unknown rule.
    """

    references = ("sam", "dnc")

    def __init__(
        self,
        slots: int,
        width: int,
        *,
        link_entries: int = 8,
        link_rule: LinkRule = "one_factor",
        **options: Any,
    ) -> None:
        super().__init__(slots, width, **options)
        require_positive(link_entries=link_entries)
        require_at_most(slots, link_entries=link_entries)
        if link_rule not in ("one_factor", "dnc"):
            raise unknown_name("link_rule", link_rule, ("one_factor", "dnc"))
        self.link_entries, self.link_rule = link_entries, link_rule
        self.written = min(slots, self.reads // self.writes * self.nearest + 1)  # slots that a head can write
        modes = (self.reads, 1 + 2 * self.writes)  # backward, content, forward, as in the DNC
        self.add_field("read_mode", *modes, activation=partial(torch.softmax, dim=-1))

    def initial_state(self, batch_size: int) -> SparseState:
        """A memory that was never accessed, without links."""
        start = super().initial_state(batch_size)
        heads = (batch_size, self.writes)
        precedence = empty_rows(heads, self.link_entries, start.memory)
        links = empty_rows((*heads, self.slots), self.link_entries, start.memory)
        return start._replace(links=SparseLinks(precedence, links, links))

    def write(self, fields: Fields, state: SparseState) -> tuple[SparseState, Tensor]:
        """Write as `SparseMemory` does, and link what is written to what was written before."""
        after, written_BVN = super().write(fields, state)
        links = updated_links(state.links, written_BVN, self.written, self.link_rule)
        return after._replace(links=links), written_BVN

    def read_weighting(self, fields: Fields, state: SparseState) -> Tensor:
        """``w^R_t = pi[back] b + pi[content] c + pi[forward] f``, ``[B, R, N]``, of which a head will keep a part."""
        slots_BRK, weights_BRK, _ = self.look_up(fields, state.memory)
        previous_BRN = self.last_read(state)
        ways_BRMN = torch.cat(
            [
                directional_weighting(state.links.backward, previous_BRN),
                dense(slots_BRK, weights_BRK, self.slots).unsqueeze(2),
                directional_weighting(state.links.forward, previous_BRN),
            ],
            dim=2,
        )
        return (fields["read_mode"].unsqueeze(2) @ ways_BRMN).squeeze(2)

    def read(self, fields: Fields, state: SparseState) -> tuple[Tensor, SparseState]:
        """Each head reads the K slots with its largest weights, ``[B, R, W]``."""
        weights_BRN = self.read_weighting(fields, state)
        slots_BRK = largest(weights_BRN, self.nearest)
        weights_BRK = weights_BRN.gather(-1, slots_BRK)
        return self.read_from(rows_at(state.memory, slots_BRK), slots_BRK, weights_BRK, state)
