"""The memory of the neural Turing machine.

Shapes: B batch, R read heads, V write heads, H any heads, N slots, W width, S shift taps.
Source: Graves, Wayne, Danihelka 2014, "Neural Turing Machines", section 3.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from torchmann.core.errors import OptionError, require_positive, unknown_name
from torchmann.core.recorder import record
from torchmann.core.start import Start, StartKind
from torchmann.core.state import state
from torchmann.functional import (
    activation_named,
    circular_shift,
    content_weighting,
    erase_and_add,
    interpolation,
    oneplus,
    read,
    sharpening,
    similarity_named,
)
from torchmann.memories.memory import Half, Memory, field_columns, fields_size, split_fields


@state
class NTMState(NamedTuple):
    """What an NTM's memory carries."""

    memory: Tensor  # [B, N, W]
    read_weights: Tensor  # [B, R, N], of the previous step
    write_weights: Tensor  # [B, V, N], of the previous step


Heads = dict[str, Tensor]
"""The activated fields of some heads by name, each ``[B, H, ...]``."""


class NTMMemory(Memory):
    """A matrix memory with content and location addressing.

    Args:
        slots: N.
        width: W.
        reads: R, number of read heads.
        writes: V, number of write heads.
        shift_range: furthest shift of a head in one step; there are ``2 * shift_range + 1`` taps.
        order: ``"read_first"``: all read heads, then all write heads, every one addressing the old memory;
            ``"write_first"``: the read heads address and read the new memory; ``"interleaved"``: read 0, write 0,
            read 1, write 1, ..., each head sees the writes before it.
        erase: ``"separate"``: each write head emits an erase vector; ``"coupled"``: ``M = w a + (1 - w) M``.
        key_activation: of keys and add vectors, ``"none"`` or ``"tanh"``.
        similarity: ``"cosine"``, ``"cosine_clamped"``, ``"cosine_outside"``, ``"cosine_product"`` or
            ``"cosine_per_width"``, a defect of released code.
        epsilon: of the similarity; None is that similarity's own.
        sharpening_epsilon: added to the normaliser of the sharpening; released code has 1e-16.
        initial_memory: how the memory starts: ``"tanh"`` or ``"sigmoid"`` of a learned matrix, ``"learned"``,
            ``"constant"`` (1e-6) or ``"random"`` (drawn once, uniform on ±1/sqrt(N + W)).
        initial_weights: ``"softmax"`` of a learned vector that starts at N, N-1, ..., 1, so that heads begin at the
            first row and can walk; or ``"constant"`` zeros, with which a learned memory starts from random numbers.
        initial_reads: ``"constant"`` zeros, ``"learned"``, ``"tanh"`` of a learned vector, or ``"random"``.

    Raises:
        OptionError: a size below one, an unknown name, or memory and weightings that both start constant.
    """

    references: tuple[str, ...] = ("ntm",)

    def __init__(
        self,
        slots: int,
        width: int,
        *,
        reads: int = 1,
        writes: int = 1,
        shift_range: int = 1,
        order: Literal["read_first", "write_first", "interleaved"] = "read_first",
        erase: Literal["separate", "coupled"] = "separate",
        key_activation: str = "none",
        similarity: str = "cosine",
        epsilon: float | None = None,
        sharpening_epsilon: float = 0.0,
        initial_memory: StartKind = "tanh",
        initial_weights: StartKind = "softmax",
        initial_reads: StartKind = "constant",
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        require_positive(slots=slots, width=width, reads=reads, writes=writes)
        if shift_range < 0:
            raise OptionError(f"shift_range must be at least 0, got {shift_range}.")
        if order not in ("read_first", "write_first", "interleaved"):
            raise unknown_name("order", order, ("read_first", "write_first", "interleaved"))
        if erase not in ("separate", "coupled"):
            raise unknown_name("erase", erase, ("separate", "coupled"))
        self.slots, self.width, self.reads, self.writes = slots, width, reads, writes
        self.order = order
        self.key_activation = activation_named(key_activation)
        self.similarity = similarity_named(similarity, epsilon)
        self.sharpening_epsilon = sharpening_epsilon
        address = {"key": (width,), "strength": (), "gate": (), "shift": (2 * shift_range + 1,), "gamma": ()}
        write = {"erase": (width,), "add": (width,)} if erase == "separate" else {"add": (width,)}
        self.read_fields = {f"read_{name}": (reads, *shape) for name, shape in address.items()}
        self.write_fields = {f"write_{name}": (writes, *shape) for name, shape in (address | write).items()}
        self.interface_size = fields_size(self.read_fields | self.write_fields)
        self.read_size = reads * width

        at: dict[str, Any] = {"device": device, "dtype": dtype}
        spread = (slots + width) ** -0.5
        fill: float | Tensor = 1e-6 if initial_memory == "constant" else 0.0
        if initial_weights == "constant":  # then only the memory can tell slots apart, which else stay alike for ever
            if initial_memory == "constant":
                raise OptionError(
                    "initial_memory and initial_weights are both constant: slots that start alike stay alike. "
                    "Take another start for one of them, e.g. initial_memory='random'."
                )
            fill = torch.empty(slots, width).uniform_(-spread, spread)
        self.initial_memory = Start((slots, width), initial_memory, value=fill, spread=spread, **at)
        prior = torch.arange(slots, 0, -1.0) if initial_weights == "softmax" else 0.0
        self.initial_read_weights = Start((reads, slots), initial_weights, value=prior, **at)
        self.initial_write_weights = Start((writes, slots), initial_weights, value=prior, **at)
        self.initial_read = Start((self.read_size,), initial_reads, spread=0.01, **at)

    def initial_state(self, batch_size: int) -> NTMState:
        """Memory and head weightings as the constructor says."""
        return NTMState(
            self.initial_memory(batch_size),
            self.initial_read_weights(batch_size),
            self.initial_write_weights(batch_size),
        )

    def initial_reads(self, batch_size: int) -> Tensor:
        """As the constructor says."""
        return self.initial_read(batch_size)

    def heads(self, interface_BS: Tensor) -> tuple[Heads, Heads]:
        """The activated fields of the read heads and of the write heads."""
        fields = split_fields(interface_BS, self.read_fields | self.write_fields)
        return self._activated(fields, "read"), self._activated(fields, "write")

    def columns(self, half: Half) -> Sequence[int]:
        """Those of the read heads, or of the write heads."""
        fields = self.read_fields if half == "only_read" else self.write_fields
        return field_columns(self.read_fields | self.write_fields, fields)

    def _offer(self, role: str, heads: Heads) -> None:
        for name, value in heads.items():
            record(self, f"{role}_{name}", value)

    def _activated(self, fields: dict[str, Tensor], role: str) -> Heads:
        heads = {
            "key": self.key_activation(fields[f"{role}_key"]),  # k
            "strength": F.softplus(fields[f"{role}_strength"]),  # beta > 0
            "gate": fields[f"{role}_gate"].sigmoid(),  # g in (0, 1)
            "shift": fields[f"{role}_shift"].softmax(-1),  # s, sums to one
            "gamma": oneplus(fields[f"{role}_gamma"]),  # gamma >= 1
        }
        if role == "write":
            heads["add"] = self.key_activation(fields["write_add"])  # a
            erase = fields.get("write_erase")
            heads["erase"] = torch.ones_like(heads["add"]) if erase is None else erase.sigmoid()  # e
        return heads

    def address(self, memory_BNW: Tensor, previous_BHN: Tensor, heads: Heads) -> Tensor:
        """The weightings ``[B, H, N]`` of some heads (eqs 5-9)."""
        similarity_BHN = self.similarity(heads["key"], memory_BNW)
        content_BHN = content_weighting(similarity_BHN, heads["strength"])  # eq. 5
        gated_BHN = interpolation(content_BHN, previous_BHN, heads["gate"])  # eq. 7
        shifted_BHN = circular_shift(gated_BHN, heads["shift"])  # eq. 8
        return sharpening(shifted_BHN, heads["gamma"], self.sharpening_epsilon)  # eq. 9

    def turns(self) -> Iterator[tuple[Literal["read", "write"], slice]]:
        """Which heads act together, in order; each group sees the memory as the groups before it left it."""
        reading, writing = slice(0, self.reads), slice(0, self.writes)
        if self.order == "read_first":
            yield from (("read", reading), ("write", writing))
        elif self.order == "write_first":
            yield from (("write", writing), ("read", reading))
        else:
            for head in range(max(self.reads, self.writes)):
                if head < self.reads:
                    yield "read", slice(head, head + 1)
                if head < self.writes:
                    yield "write", slice(head, head + 1)

    def forward(self, interface_BS: Tensor, state: NTMState, noise: None = None) -> tuple[Tensor, NTMState]:
        """One step of reading and writing."""
        read_heads, write_heads = self.heads(interface_BS)
        self._offer("read", read_heads)
        self._offer("write", write_heads)
        vectors = []
        for role, group in self.turns():
            if role == "read":
                reads, state = self.read(read_heads, group, state)
                vectors.append(reads)
            else:
                state = self.write(write_heads, group, state)
        record(self, "read_weights", state.read_weights)
        record(self, "write_weights", state.write_weights)
        return torch.cat(vectors, 1).flatten(1), state

    def read(self, heads: Heads, group: slice, state: NTMState) -> tuple[Tensor, NTMState]:
        """A group of read heads addresses the memory as it is and reads ``[B, H, W]`` (eq. 2)."""
        mine = {name: field[:, group] for name, field in heads.items()}
        weights_BHN = self.address(state.memory, state.read_weights[:, group], mine)
        read_weights = replaced(state.read_weights, group, weights_BHN)
        return read(state.memory, weights_BHN), state._replace(read_weights=read_weights)

    def write(self, heads: Heads, group: slice, state: NTMState) -> NTMState:
        """A group of write heads addresses the memory as it is and writes to it (eqs 3-4)."""
        mine = {name: field[:, group] for name, field in heads.items()}
        weights_BHN = self.address(state.memory, state.write_weights[:, group], mine)
        memory_BNW = erase_and_add(state.memory, weights_BHN, mine["erase"], mine["add"])
        write_weights = replaced(state.write_weights, group, weights_BHN)
        return state._replace(memory=memory_BNW, write_weights=write_weights)

    def only_read(self, interface_BS: Tensor, state: NTMState, noise: None = None) -> tuple[Tensor, NTMState]:
        """Read; the memory and the write weightings stay."""
        heads, _ = self.heads(interface_BS)
        self._offer("read", heads)
        reads, state = self.read(heads, slice(0, self.reads), state)
        record(self, "read_weights", state.read_weights)
        return reads.flatten(1), state

    def only_write(self, interface_BS: Tensor, state: NTMState, noise: None = None) -> tuple[None, NTMState]:
        """Write; the read weightings stay."""
        _, heads = self.heads(interface_BS)
        self._offer("write", heads)
        state = self.write(heads, slice(0, self.writes), state)
        record(self, "write_weights", state.write_weights)
        return None, state


def replaced(weights_BHN: Tensor, group: slice, new_BHN: Tensor) -> Tensor:
    """The weightings of all heads, with those of a group replaced."""
    if new_BHN.shape[1] == weights_BHN.shape[1]:
        return new_BHN
    return torch.cat([weights_BHN[:, : group.start], new_BHN, weights_BHN[:, group.stop :]], dim=1)
