"""Sparse access memory and the sparse DNC in the form of pytorch-dnc: at each step some rows are visible.

The visible rows are those that were nearest to the read queries and one that is little used. All that happens to the
memory happens to them: they are written, and one softmax over all of them is a head's read.

Shapes: B batch, R read heads, N slots, W width, K slots that a head looks up, C visible rows, L of them by their links.
Source: github.com/ixaxaar/pytorch-dnc, of which the code behind ARMIN's results for SAM has a copy. Hardly a rule is
that of the paper (`torchmann.memories.SparseMemory`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from torchmann.core.errors import require_positive
from torchmann.core.recorder import record
from torchmann.core.start import Start
from torchmann.core.state import state
from torchmann.functional import activation_named, content_weighting, read, similarity_named
from torchmann.functional.allocation import product_over_heads
from torchmann.memories.fields import FieldMemory, Fields
from torchmann.memories.search import Index, largest, search_named
from torchmann.memories.sparse import require_at_most, rows_at
from torchmann.memories.visible_links import empty_links, linked_slots, replaced_at, updated_links


@state
class VisibleState(NamedTuple):
    """What the memory carries; `links` is empty without temporal links."""

    memory: Tensor  # [B, N, W]
    positions: Tensor  # [B, C] int64, the slots of the visible rows; a slot may be there more than once
    read_weights: Tensor  # [B, N], over all heads, of the previous step
    write_weights: Tensor  # [B, N], of each slot when it was last visible
    usage: Tensor  # [B, N] int64
    steps: Tensor  # [B] int64, steps so far
    links: Any = ()


class VisibleMemory(FieldMemory):
    """A matrix memory of which ``R K + 1`` rows are visible, with links ``R K + 2 link_entries + 1``.

    What it keeps of a slot's use is the step of its last access less what was kept before, and the slot with the
    smallest number is taken for the least used one. It enters the visible rows, and the rows among them with the
    smallest number are emptied and may be written, or else what was read before. With links the visible rows hold
    also the slots at which the links of both directions, weighted with the last reads, are strongest.

    Args:
        slots: N.
        width: W.
        reads: R, number of read heads; there is one write head.
        nearest: K, slots that a head looks up, by Euclidean distance.
        link_entries: slots that enter by the links, for each direction; None: no links (SAM).
        strength: activation of the read strengths, ``"oneplus"`` or ``"softplus"``; None: the softmax has none.
        delta: weight above which a slot counts as accessed.
        index: how the nearest slots are found: ``"exact"``, or ``"faiss"`` by that library (an extra).
        similarity: of the softmax: ``"cosine"``, ``"cosine_clamped"``, ``"cosine_outside"``, ``"cosine_product"`` or,
            as ARMIN's results were made, ``"cosine_per_width"``.
        epsilon: of the similarity; None is that similarity's own.
        initial_value: constant at which memory, weightings and reads start.

    Raises:
        OptionError: a size below one or too large, an unknown name, or faiss is asked for and not installed.
    """

    @property
    def references(self) -> tuple[str, ...]:
        """The papers whose models these are."""
        return ("sam",) if self.link_entries is None else ("sam", "dnc")

    def __init__(
        self,
        slots: int,
        width: int,
        *,
        reads: int = 1,
        nearest: int = 4,
        link_entries: int | None = None,
        strength: str | None = None,
        delta: float = 0.005,
        index: Index = "exact",
        similarity: str = "cosine",
        epsilon: float | None = None,
        initial_value: float = 0.005,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        require_positive(slots=slots, width=width, reads=reads, nearest=nearest)
        require_at_most(slots, nearest=nearest)
        if link_entries is not None:
            require_positive(link_entries=link_entries)
            require_at_most(slots, link_entries=link_entries)
        self.slots, self.width, self.reads, self.nearest, self.link_entries = slots, width, reads, nearest, link_entries
        self.temporal = slice(reads * nearest, reads * nearest + 2 * (link_entries or 0))  # among the visible rows
        self.visible = self.temporal.stop + 1
        self.delta = delta
        self.similarity = similarity_named(similarity, epsilon)
        self.search = search_named(index, "euclidean", self.similarity)
        self.add_field("read_query", reads, width)
        self.add_field("write_vector", 1, width)
        self.add_field("interpolation_gate", self.visible, activation=torch.sigmoid)
        self.add_field("write_gate", 1, activation=torch.sigmoid)
        if strength is not None:
            self.add_field("read_strength", reads, activation=activation_named(strength))
        self.read_size = reads * width
        at: dict[str, Any] = {"value": initial_value, "device": device, "dtype": dtype}
        self.initial_memory = Start((slots, width), **at)
        self.initial_weights = Start((slots,), **at)
        self.initial_read = Start((self.read_size,), **at)

    def initial_state(self, batch_size: int) -> VisibleState:
        """The first slots are visible."""
        memory_BNW = self.initial_memory(batch_size)
        at: dict[str, Any] = {"dtype": torch.int64, "device": memory_BNW.device}
        first_C = torch.arange(self.visible, device=memory_BNW.device).clamp_max(self.slots - 1)
        return VisibleState(
            memory_BNW,
            positions=first_C.expand(batch_size, -1),
            read_weights=self.initial_weights(batch_size),
            write_weights=self.initial_weights(batch_size),
            usage=torch.zeros(batch_size, self.slots, **at),
            steps=torch.zeros(batch_size, **at),
            links=() if self.link_entries is None else empty_links(memory_BNW, 2 * self.link_entries),
        )

    def initial_reads(self, batch_size: int) -> Tensor:
        """As the constructor says."""
        return self.initial_read(batch_size)

    def write(self, fields: Fields, state: VisibleState) -> VisibleState:
        """Empty the least used visible rows, and write to the visible rows with ``g (gate w^R + (1 - gate) I)``."""
        self.offer(fields, "only_write")
        positions_BC, steps_B1 = state.positions, state.steps.unsqueeze(-1)
        read_BC = state.read_weights.gather(1, positions_BC) + (steps_B1 == 0)  # the code's push at the first step
        written_BC = state.write_weights.gather(1, positions_BC)
        usage_BC = state.usage.gather(1, positions_BC)
        least_BC = (usage_BC == usage_BC.amin(-1, keepdim=True)).type_as(read_BC)  # I, a one for each of several
        accessed_BC = read_BC + written_BC > self.delta
        newer_BC = torch.where(accessed_BC, steps_B1 + 1 - usage_BC, usage_BC)
        weights_BC = fields["write_gate"] * torch.lerp(least_BC, read_BC, fields["interpolation_gate"])
        words_BCW = weights_BC.unsqueeze(-1) * fields["write_vector"]
        kept_BCW = rows_at(state.memory, positions_BC) * (1 - least_BC).unsqueeze(-1)
        new = state._replace(
            memory=replaced_at(state.memory, positions_BC, kept_BCW + words_BCW),
            write_weights=replaced_at(state.write_weights, positions_BC, weights_BC),
            usage=state.usage.scatter(1, positions_BC, newer_BC),
            steps=state.steps + 1,
        )
        record(self, "write_weights", new.write_weights)
        if self.link_entries is None:
            return new
        temporal_BL = positions_BC[:, self.temporal]
        read_BL = state.read_weights.gather(1, temporal_BL)
        return new._replace(links=updated_links(state.links, new.write_weights, read_BL, temporal_BL))

    def read(self, fields: Fields, state: VisibleState) -> tuple[Tensor, VisibleState]:
        """Find the next visible rows; each head reads all of them, with one softmax, ``[B, R W]``."""
        self.offer(fields, "only_read")
        query_BRW = fields["read_query"]
        found = [self.search(query_BRW, state.memory, self.nearest).flatten(1)]
        if self.link_entries is not None:
            read_BL = state.read_weights.gather(1, state.positions[:, self.temporal])
            found.append(linked_slots(state.links, read_BL))
        positions_BC = torch.cat([*found, largest(-state.usage, 1)], dim=-1)
        visible_BCW = rows_at(state.memory, positions_BC)
        similarity_BRC = self.similarity(query_BRW, visible_BCW)
        strength_BR = fields.get("read_strength", torch.ones_like(similarity_BRC[..., 0]))
        weights_BRC = content_weighting(similarity_BRC, strength_BR)
        no_weights_BN = torch.zeros_like(state.read_weights)
        weights_BN = replaced_at(no_weights_BN, positions_BC, product_over_heads(weights_BRC))
        record(self, "read_weights", weights_BN)
        new = state._replace(positions=positions_BC, read_weights=weights_BN)
        return read(visible_BCW, weights_BRC).flatten(1), new

    def forward(self, interface_BS: Tensor, state: VisibleState, noise: None = None) -> tuple[Tensor, VisibleState]:
        """One step: write to the visible rows, then look up which are visible next, and read them."""
        fields = self.interface(interface_BS)
        return self.read(fields, self.write(fields, state))

    def only_read(self, interface_BS: Tensor, state: VisibleState, noise: None = None) -> tuple[Tensor, VisibleState]:
        """Read; the memory stays."""
        return self.read(self.interface(interface_BS), state)

    def only_write(self, interface_BS: Tensor, state: VisibleState, noise: None = None) -> tuple[None, VisibleState]:
        """Write; what is visible stays."""
        return None, self.write(self.interface(interface_BS), state)
