"""Sparse access memory: a step reads and writes a few slots, however many there are.

Shapes: B batch, R read heads, V write heads, N slots, W width, K slots that a head reads, C slots that a head writes.
Source: Rae et al. 2016, "Scaling memory-augmented neural networks with sparse reads and writes", sections 3.1-3.3.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from torchmann.core.errors import OptionError, require_positive
from torchmann.core.recorder import record
from torchmann.core.start import Start
from torchmann.core.state import state
from torchmann.functional import activation_named, content_weighting, similarity_named
from torchmann.memories.fields import FieldMemory, Fields
from torchmann.memories.search import Index, largest, search_named


@state
class SparseState(NamedTuple):
    """What a sparse access memory carries; `links` are those of the sparse DNC, else an empty tuple."""

    memory: Tensor  # [B, N, W]
    elapsed: Tensor  # [B, N] int64, steps since a slot was accessed
    read_slots: Tensor  # [B, R, K] int64, of the previous step
    read_values: Tensor  # [B, R, K], the weights of these slots
    links: Any = ()  # SparseLinks


def dense(slots: Tensor, values: Tensor, size: int) -> Tensor:
    """The weighting ``[..., N]`` that is zero but for ``values [..., K]`` at ``slots [..., K]``; equal slots add up."""
    return values.new_zeros(*slots.shape[:-1], size).scatter_add(-1, slots, values)


def rows_at(memory_BNW: Tensor, slots: Tensor) -> Tensor:
    """The contents ``[B, ..., W]`` of ``slots [B, ...]``; unlike `gather`, it keeps no memory for the backward."""
    batch, size, _ = memory_BNW.shape
    first = torch.arange(batch, device=memory_BNW.device).view(-1, *[1] * (slots.dim() - 1)) * size
    return memory_BNW.flatten(0, 1).index_select(0, (first + slots).flatten()).unflatten(0, slots.shape)


def erase_and_add_at(memory_BNW: Tensor, erased_BV: Tensor, slots_BVC: Tensor, words_BVCW: Tensor) -> Tensor:
    """``M_t = (1 - I^U 1^T) M_{t-1} + w^W a^T`` where only the erased slots and `slots` change; ``[B, N, W]``."""
    wide = (-1, -1, memory_BNW.shape[-1])
    erased_BNW = memory_BNW.scatter(1, erased_BV.unsqueeze(-1).expand(wide), 0.0)
    return erased_BNW.scatter_add(1, slots_BVC.flatten(1).unsqueeze(-1).expand(wide), words_BVCW.flatten(1, 2))


def words(fields: Fields, weights_BVC: Tensor) -> Tensor:
    """``w^W a^T``, what a write adds to each slot that it touches, ``[B, V, C, W]``."""
    return weights_BVC.unsqueeze(-1) * fields["write_vector"].unsqueeze(2)


class SparseMemory(FieldMemory):
    """A matrix memory of which each head reads the K slots nearest to its query.

    A write head writes one word to what it read in the step before, and to one slot of its own, which is emptied
    first: the least recently accessed one, for the second head the next, and so on. With several heads, read head 0 to
    R/V - 1 belong to the first write head, and so forth, and their weights are averaged: with as many write heads as
    read heads each is an access head of the paper. A slot is accessed in a step in which its weights over all heads,
    read and written, sum to more than `delta`. With ``index="exact"`` of equally near slots, and in any case of equally
    old ones, the lower is taken.

    The step is out of place and so copies the memory, but what it keeps for the backward pass does not grow with N. The
    engine ``"sparse"`` takes the same step in place.

    Args:
        slots: N.
        width: W.
        reads: R, number of read heads, a multiple of `writes`.
        writes: V, number of write heads.
        nearest: K, slots that a head reads.
        strength: activation of the read strengths, ``"oneplus"`` or ``"softplus"``; None: the softmax has none.
        delta: weight above which a slot counts as accessed.
        index: how the nearest slots are found: ``"exact"``, or ``"faiss"`` by that library (an extra).
        similarity: ``"cosine"``, ``"cosine_clamped"``, ``"cosine_outside"``, ``"cosine_product"`` or, a defect of
            released code, ``"cosine_per_width"``.
        epsilon: of the similarity; None is that similarity's own.
        initial_value: constant at which memory and reads start.

    Raises:
        OptionError: a size below one or too large, an unknown name, or faiss is asked for and not installed.
    """

    references: tuple[str, ...] = ("sam",)

    def __init__(
        self,
        slots: int,
        width: int,
        *,
        reads: int = 1,
        writes: int = 1,
        nearest: int = 4,
        strength: str | None = "oneplus",
        delta: float = 0.005,
        index: Index = "exact",
        similarity: str = "cosine",
        epsilon: float | None = None,
        initial_value: float = 0.0,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        require_positive(slots=slots, width=width, reads=reads, writes=writes, nearest=nearest)
        require_at_most(slots, writes=writes, nearest=nearest)
        if reads % writes:
            raise OptionError(f"reads must be a multiple of writes = {writes}, which share them out, got {reads}.")
        self.slots, self.width, self.reads, self.writes, self.nearest = slots, width, reads, writes, nearest
        self.delta = delta
        self.similarity = similarity_named(similarity, epsilon)
        self.search = search_named(index, "cosine", self.similarity)
        self.add_field("read_query", reads, width)  # q
        self.add_field("write_vector", writes, width)  # a
        self.add_field("write_gate", writes, activation=torch.sigmoid)  # alpha
        self.add_field("interpolation_gate", writes, activation=torch.sigmoid)  # gamma
        if strength is not None:
            self.add_field("read_strength", reads, activation=activation_named(strength))  # beta
        self.read_size = reads * width
        at: dict[str, Any] = {"device": device, "dtype": dtype}
        self.initial_row = Start((width,), value=initial_value, **at)
        self.initial_read_values = Start((reads, nearest), **at)
        self.initial_read = Start((self.read_size,), value=initial_value, **at)

    def initial_state(self, batch_size: int) -> SparseState:
        """A memory that was never accessed; equal rows share their storage, for there may be millions."""
        memory_BNW = self.initial_row(batch_size).unsqueeze(1).expand(-1, self.slots, -1)
        first_K = torch.arange(self.nearest, device=memory_BNW.device)
        return SparseState(
            memory_BNW,
            torch.zeros(1, dtype=torch.int64, device=memory_BNW.device).expand(batch_size, self.slots),
            first_K.expand(batch_size, self.reads, -1),
            self.initial_read_values(batch_size),
        )

    def initial_reads(self, batch_size: int) -> Tensor:
        """As the constructor says."""
        return self.initial_read(batch_size)

    def write(self, fields: Fields, state: SparseState) -> tuple[SparseState, Tensor]:
        """Write with ``w^W = alpha (gamma w^R_{t-1} + (1 - gamma) I^U)``, ``[B, V, N]``, which is returned as well."""
        self.offer(fields, "only_write")
        oldest_BV = largest(state.elapsed, self.writes)
        slots_BVC = self.slots_to_write(state.read_slots, oldest_BV)
        weights_BVC = self.write_weighting(fields, state.read_values)
        memory_BNW = erase_and_add_at(state.memory, oldest_BV, slots_BVC, words(fields, weights_BVC))
        written_BVN = dense(slots_BVC, weights_BVC, self.slots)
        record(self, "write_weights", written_BVN)
        return state._replace(memory=memory_BNW), written_BVN

    def slots_to_write(self, read_BRK: Tensor, oldest_BV: Tensor) -> Tensor:
        """The slots that a head writes, ``[B, V, C]``: those that its read heads read last, and its own."""
        return torch.cat([self.by_write_head(read_BRK), oldest_BV.unsqueeze(-1)], dim=-1)

    def write_weighting(self, fields: Fields, read_BRK: Tensor) -> Tensor:
        """``w^W = alpha (gamma w^R_{t-1} + (1 - gamma) I^U)`` at `slots_to_write`, ``[B, V, C]``."""
        read_BVC = self.by_write_head(read_BRK) * (self.writes / self.reads)
        gamma_BV1 = fields["interpolation_gate"].unsqueeze(-1)
        parts_BVC = torch.cat([gamma_BV1 * read_BVC, 1 - gamma_BV1], dim=-1)
        return fields["write_gate"].unsqueeze(-1) * parts_BVC

    def by_write_head(self, values_BRK: Tensor) -> Tensor:
        """The read heads' values by the write head that they belong to, ``[B, V, R / V * K]``."""
        return values_BRK.unflatten(1, (self.writes, -1)).flatten(2)

    def look_up(self, fields: Fields, memory_BNW: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The slots nearest to each query ``[B, R, K]``, their weights ``[B, R, K]`` and contents ``[B, R, K, W]``."""
        self.offer(fields, "only_read")
        slots_BRK = self.search(fields["read_query"], memory_BNW, self.nearest)
        rows_BRKW = rows_at(memory_BNW, slots_BRK)
        return slots_BRK, self.content_weights(fields, rows_BRKW), rows_BRKW

    def content_weights(self, fields: Fields, rows_BRKW: Tensor) -> Tensor:
        """``w^R = softmax(beta D(q, M))`` over the K slots of a head whose contents are given, ``[B, R, K]``."""
        each_head = (fields["read_query"].flatten(0, 1).unsqueeze(1), rows_BRKW.flatten(0, 1))
        similarity_BRK = self.similarity(*each_head).view(rows_BRKW.shape[:-1])
        strength_BR = fields.get("read_strength", torch.ones_like(similarity_BRK[..., 0]))
        return content_weighting(similarity_BRK, strength_BR)

    def read(self, fields: Fields, state: SparseState) -> tuple[Tensor, SparseState]:
        """Each head reads the K slots nearest to its query, ``[B, R, W]``."""
        slots_BRK, weights_BRK, rows_BRKW = self.look_up(fields, state.memory)
        return self.read_from(rows_BRKW, slots_BRK, weights_BRK, state)

    def read_from(
        self, rows_BRKW: Tensor, slots_BRK: Tensor, weights_BRK: Tensor, state: SparseState
    ) -> tuple[Tensor, SparseState]:
        """``r = sum_i w_i M_i`` over the rows of a head, ``[B, R, W]``."""
        state = state._replace(read_slots=slots_BRK, read_values=weights_BRK)
        record(self, "read_weights", self.last_read(state))
        return (weights_BRK.unsqueeze(2) @ rows_BRKW).squeeze(2), state

    def last_read(self, state: SparseState) -> Tensor:
        """``w^R`` of the last read, ``[B, R, N]``."""
        return dense(state.read_slots, state.read_values, self.slots)

    def accessed(self, state: SparseState, *weights_BHN: Tensor) -> SparseState:
        """The state with the time since each slot's last access: its weights, of all heads, sum to more than delta."""
        weights_BN = torch.cat(weights_BHN, dim=1).detach().sum(1)
        return state._replace(elapsed=torch.where(weights_BN > self.delta, 0, state.elapsed + 1))

    def forward(self, interface_BS: Tensor, state: SparseState, noise: None = None) -> tuple[Tensor, SparseState]:
        """One step: write, then read the new memory."""
        fields = self.interface(interface_BS)
        state, written_BVN = self.write(fields, state)
        reads_BRW, state = self.read(fields, state)
        return reads_BRW.flatten(1), self.accessed(state, written_BVN, self.last_read(state))

    def only_read(self, interface_BS: Tensor, state: SparseState, noise: None = None) -> tuple[Tensor, SparseState]:
        """Read; the memory stays."""
        reads_BRW, state = self.read(self.interface(interface_BS), state)
        return reads_BRW.flatten(1), self.accessed(state, self.last_read(state))

    def only_write(self, interface_BS: Tensor, state: SparseState, noise: None = None) -> tuple[None, SparseState]:
        """Write; what was read last stays."""
        state, written_BVN = self.write(self.interface(interface_BS), state)
        return None, self.accessed(state, written_BVN)


def require_at_most(slots: int, **values: int) -> None:
    """Raise `OptionError` unless there are slots enough for each named value."""
    for name, value in values.items():
        if value > slots:
            raise OptionError(f"{name} must be at most slots = {slots}, got {value}.")
