"""The memory of the differentiable neural computer.

Shapes: B batch, R read heads, V write heads, N slots, W width.
Source: Graves et al. 2016, "Hybrid computing using a neural network with dynamic external memory", Methods.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from torchmann.core.errors import OptionError, require_positive, unknown_name
from torchmann.core.gradients import stop_gradient
from torchmann.core.recorder import Recorder, record
from torchmann.core.start import Start, StartKind
from torchmann.core.state import state
from torchmann.functional import (
    activation_named,
    backward_weighting,
    content_weighting,
    erase_and_add,
    forward_weighting,
    oneplus,
    precedence,
    read,
    retention,
    similarity_named,
    softmax_allocation,
    sorted_allocation,
    temporal_link,
    usage,
)
from torchmann.memories.memory import Half, Memory, field_columns, fields_size, split_fields


@state
class DNCState(NamedTuple):
    """What a DNC's memory carries; without links the last two fields are empty tuples."""

    memory: Tensor  # [B, N, W]
    usage: Tensor  # [B, N]
    write_weights: Tensor  # [B, V, N], of the previous step
    read_weights: Tensor  # [B, R, N], of the previous step
    precedence: Any  # [B, V, N]
    link: Any  # [B, V, N, N]


class DNCMemory(Memory):
    """A matrix memory with content look-up, dynamic allocation and temporal links.

    Args:
        slots: N.
        width: W.
        reads: R, number of read heads.
        writes: V, number of write heads; they allocate in turn, and each has a link matrix of its own.
        links: keep the order of writing and offer it to the read heads; without, reads are by content only.
        allocation: which free slot to write: ``"sorted"`` by usage, or differentiable ``"softmax"`` of non-usage with
            a strength of its own, one more number of the interface for each write head (DMA).
        strength: activation of the strengths: ``"oneplus"``, or ``"softplus"`` as in released code.
        key_activation: of keys and write vectors, ``"none"`` or ``"tanh"``.
        similarity: ``"cosine"``, ``"cosine_clamped"``, ``"cosine_outside"``, ``"cosine_product"`` or
            ``"cosine_per_width"``, a defect of released code.
        epsilon: of the similarity; None is that similarity's own.
        usage_floor: usage is squeezed to ``floor + (1 - floor) u`` before it is sorted.
        usage_gradient: let the gradient pass from usage into the write weighting of the step before.
        read_mode_softmax: over the ``"modes"`` of each head; ``"heads"`` is a defect of released code.
        initial_memory: how the memory starts: ``"constant"`` at `initial_value`, ``"learned"`` from there, or
            ``"random"`` (drawn once, uniform on ±1/sqrt(N + W)). None is constant where the allocation sorts, which
            tells equal slots apart by their number, and random where it is a softmax, which cannot.
        initial_value: constant at which memory, weightings and reads start.
        initial_reads: how the reads start: ``"constant"`` or ``"learned"``, from `initial_value`.

    Raises:
        OptionError: a size below one or an unknown name.
    """

    def __init__(
        self,
        slots: int,
        width: int,
        *,
        reads: int = 1,
        writes: int = 1,
        links: bool = True,
        allocation: Literal["sorted", "softmax"] = "sorted",
        strength: str = "oneplus",
        key_activation: str = "none",
        similarity: str = "cosine",
        epsilon: float | None = None,
        usage_floor: float = 1e-6,
        usage_gradient: bool = False,
        read_mode_softmax: Literal["modes", "heads"] = "modes",
        initial_memory: StartKind | None = None,
        initial_value: float = 0.0,
        initial_reads: StartKind = "constant",
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        require_positive(slots=slots, width=width, reads=reads, writes=writes)
        if read_mode_softmax not in ("modes", "heads"):
            raise unknown_name("read_mode_softmax", read_mode_softmax, ("modes", "heads"))
        if allocation not in ("sorted", "softmax"):
            raise unknown_name("allocation", allocation, ("sorted", "softmax"))
        self.slots, self.width, self.reads, self.writes, self.links = slots, width, reads, writes, links
        self.strength = activation_named(strength)
        self.key_activation = activation_named(key_activation)
        self.similarity = similarity_named(similarity, epsilon)
        if not 0 <= usage_floor < 1:
            raise OptionError(f"usage_floor must be at least 0 and below 1, got {usage_floor}.")
        self.usage_floor, self.usage_gradient = usage_floor, usage_gradient
        self.read_mode_axis = -1 if read_mode_softmax == "modes" else 1
        self.fields: dict[str, tuple[int, ...]] = {
            "read_key": (reads, width),
            "read_strength": (reads,),
            "write_key": (writes, width),
            "write_strength": (writes,),
            "erase": (writes, width),
            "write_vector": (writes, width),
            "free_gate": (reads,),
            "allocation_gate": (writes,),
            "write_gate": (writes,),
        }
        if links:  # per head: one backward mode for each write head, content, one forward mode for each write head
            self.fields["read_mode"] = (reads, 1 + 2 * writes)
        if allocation == "softmax":
            self.fields["allocation_strength"] = (writes,)
        self.allocation_rule = allocation
        self.interface_size = fields_size(self.fields)
        self.read_size = reads * width

        at: dict[str, Any] = {"device": device, "dtype": dtype}
        if initial_memory is None:
            initial_memory = "random" if allocation == "softmax" else "constant"
        spread = (slots + width) ** -0.5
        self.initial_memory = Start((slots, width), initial_memory, value=initial_value, spread=spread, **at)
        self.initial_usage = Start((slots,), **at)
        self.initial_write_weights = Start((writes, slots), value=initial_value, **at)
        self.initial_read_weights = Start((reads, slots), value=initial_value, **at)
        if links:
            self.initial_precedence = Start((writes, slots), **at)
            self.initial_link = Start((writes, slots, slots), **at)
        self.initial_read = Start((self.read_size,), initial_reads, value=initial_value, **at)

    @property
    def references(self) -> tuple[str, ...]:
        """The allocation has a reference of its own where it is differentiable."""
        return ("dnc", "dma") if self.allocation_rule == "softmax" else ("dnc",)

    def initial_state(self, batch_size: int) -> DNCState:
        """An empty, unused memory."""
        return DNCState(
            self.initial_memory(batch_size),
            self.initial_usage(batch_size),
            self.initial_write_weights(batch_size),
            self.initial_read_weights(batch_size),
            self.initial_precedence(batch_size) if self.links else (),
            self.initial_link(batch_size) if self.links else (),
        )

    def initial_reads(self, batch_size: int) -> Tensor:
        """As the constructor says."""
        return self.initial_read(batch_size)

    def interface(self, interface_BS: Tensor) -> dict[str, Tensor]:
        """The activated fields of the interface vector by name, each ``[B, heads, ...]``."""
        fields = split_fields(interface_BS, self.fields)
        for name in ("read_key", "write_key", "write_vector"):
            fields[name] = self.key_activation(fields[name])
        for name in ("read_strength", "write_strength"):
            fields[name] = self.strength(fields[name])
        for name in ("erase", "free_gate", "allocation_gate", "write_gate"):
            fields[name] = fields[name].sigmoid()
        if self.allocation_rule == "softmax":
            fields["allocation_strength"] = oneplus(fields["allocation_strength"])  # in [1, inf), as eq. 10 asks
        if self.links:
            fields["read_mode"] = fields["read_mode"].softmax(self.read_mode_axis)
        return fields

    def columns(self, half: Half) -> Sequence[int]:
        """Keys, strengths and modes of the read heads for reading, all else for writing."""
        return field_columns(self.fields, [name for name in self.fields if _half_of(name) == half])

    def _offer(self, fields: dict[str, Tensor], half: Half) -> None:
        if not Recorder.listening():
            return
        for name, value in fields.items():
            if _half_of(name) == half:
                record(self, name, value)

    def used(self, fields: dict[str, Tensor], state: DNCState) -> Tensor:
        """``u_t`` ``[B, N]``: what the previous step wrote is in use, what it read may be freed."""
        written_BVN = state.write_weights if self.usage_gradient else stop_gradient(state.write_weights)
        return usage(state.usage, written_BVN, retention(fields["free_gate"], state.read_weights))

    def allocation(self, usage_BN: Tensor, fields: dict[str, Tensor]) -> Tensor:
        """``a_t`` ``[B, V, N]``; each further head sees the usage as if the heads before it had written."""
        allocations: list[Tensor] = []
        for head in range(self.writes):
            if head:
                before = slice(head - 1, head)
                intensity_B1 = fields["allocation_gate"][:, before] * fields["write_gate"][:, before]
                usage_BN = usage_BN + (1 - usage_BN) * intensity_B1 * allocations[-1]
            if self.allocation_rule == "softmax":
                allocation_BN = softmax_allocation(usage_BN, fields["allocation_strength"][:, head])
            else:
                allocation_BN = sorted_allocation(usage_BN, self.usage_floor)
            allocations.append(allocation_BN)
        return torch.stack(allocations, dim=1) if self.writes > 1 else allocations[0].unsqueeze(1)

    def write_weighting(self, usage_BN: Tensor, fields: dict[str, Tensor], memory_BNW: Tensor) -> Tensor:
        """``w^w_t = g^w (g^a a_t + (1 - g^a) c^w_t)`` ``[B, V, N]``; the look-up is in the old memory."""
        similarity_BVN = self.similarity(fields["write_key"], memory_BNW)
        content_BVN = content_weighting(similarity_BVN, fields["write_strength"])
        allocation_BVN = self.allocation(usage_BN, fields)
        record(self, "allocation", allocation_BVN)
        allocation_gate_BV1 = fields["allocation_gate"].unsqueeze(-1)
        return fields["write_gate"].unsqueeze(-1) * torch.lerp(content_BVN, allocation_BVN, allocation_gate_BV1)

    def read_weighting(self, fields: dict[str, Tensor], state: DNCState) -> Tensor:
        """``w^r_t = pi[back] b + pi[content] c + pi[forward] f`` ``[B, R, N]``, in the memory and links of `state`."""
        similarity_BRN = self.similarity(fields["read_key"], state.memory)
        content_BRN = content_weighting(similarity_BRN, fields["read_strength"])
        record(self, "content_weights", content_BRN)
        if not self.links:
            return content_BRN
        backward_BRVN = backward_weighting(state.link, state.read_weights)
        forward_BRVN = forward_weighting(state.link, state.read_weights)
        record(self, "backward_weights", backward_BRVN)
        record(self, "forward_weights", forward_BRVN)
        ways = [*backward_BRVN.unbind(2), content_BRN, *forward_BRVN.unbind(2)]
        modes = fields["read_mode"].unsqueeze(-1).unbind(2)
        weighting_BRN = modes[0] * ways[0]
        for mode_BR1, way_BRN in zip(modes[1:], ways[1:], strict=True):
            weighting_BRN = torch.addcmul(weighting_BRN, mode_BR1, way_BRN)
        return weighting_BRN

    def write(self, fields: dict[str, Tensor], state: DNCState) -> DNCState:
        """Free, allocate, write, link."""
        self._offer(fields, "only_write")
        usage_BN = self.used(fields, state)
        write_BVN = self.write_weighting(usage_BN, fields, state.memory)
        memory_BNW = erase_and_add(state.memory, write_BVN, fields["erase"], fields["write_vector"])
        record(self, "usage", usage_BN)
        record(self, "write_weights", write_BVN)
        new = state._replace(memory=memory_BNW, usage=usage_BN, write_weights=write_BVN)
        if not self.links:
            return new
        return new._replace(
            link=temporal_link(state.link, state.precedence, write_BVN),  # with the precedence of before
            precedence=precedence(state.precedence, write_BVN),
        )

    def read(self, fields: dict[str, Tensor], state: DNCState) -> tuple[Tensor, DNCState]:
        """Look up in the memory as it is."""
        self._offer(fields, "only_read")
        read_BRN = self.read_weighting(fields, state)
        record(self, "read_weights", read_BRN)
        return read(state.memory, read_BRN).flatten(1), state._replace(read_weights=read_BRN)

    def forward(self, interface_BS: Tensor, state: DNCState, noise: None = None) -> tuple[Tensor, DNCState]:
        """One step: write, then read the new memory."""
        fields = self.interface(interface_BS)
        return self.read(fields, self.write(fields, state))

    def only_read(self, interface_BS: Tensor, state: DNCState, noise: None = None) -> tuple[Tensor, DNCState]:
        """Read; memory, usage and links stay."""
        return self.read(self.interface(interface_BS), state)

    def only_write(self, interface_BS: Tensor, state: DNCState, noise: None = None) -> tuple[None, DNCState]:
        """Write; the read weightings stay."""
        return None, self.write(self.interface(interface_BS), state)


def _half_of(field: str) -> Half:
    """Which half of a step looks at a field: what a head reads first decides what is freed, and so where it writes."""
    return "only_read" if field in ("read_key", "read_strength", "read_mode") else "only_write"
