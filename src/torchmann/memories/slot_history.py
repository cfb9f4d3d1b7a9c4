"""A history of slots: entries are appended until all slots are full, then what was read last is overwritten.

Shapes: B batch, N slots, W width, A address fields, S interface.
Sources: "ARMIN: Towards a more efficient and light-weight recurrent memory network", section 3; Gulcehre, Chandar,
Bengio 2017, "Memory augmented neural networks with wormhole connections".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from torchmann.core.errors import OptionError, require_positive
from torchmann.core.gradients import stop_gradient
from torchmann.core.noise import Draw
from torchmann.core.recorder import record
from torchmann.core.start import Start, StartKind
from torchmann.functional import read
from torchmann.memories.addressing import Addressing, AutoAddressing, SlotHistoryState
from torchmann.memories.memory import Half, Memory


class SlotHistoryNoise(NamedTuple):
    """What a reading draws."""

    address: Any  # [B, N], Gumbel


class SlotHistory(Memory):
    """Slots of whole entries, read by addresses and written without any.

    A write fills the next empty slot, and when there is none left, it replaces what was read last: its weighting is
    then the last read weighting, with the gradient cut. The interface is the address followed by the entry.

    Args:
        slots: N.
        width: W, of an entry.
        addressing: how a slot is chosen; None is `AutoAddressing`.
        read_keys: a read holds the slot's key, too, before its contents (`TardisAddressing`).
        initial_memory: how the memory starts: ``"constant"`` at zero, ``"learned"`` from there, or ``"random"``.

    Raises:
        OptionError: a size below one, an addressing for another number of slots, or `read_keys` of one without keys.
    """

    def __init__(
        self,
        slots: int,
        width: int,
        *,
        addressing: Addressing | None = None,
        read_keys: bool = False,
        initial_memory: StartKind = "constant",
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        require_positive(slots=slots, width=width)
        at: dict[str, Any] = {"device": device, "dtype": dtype}
        self.addressing = AutoAddressing(slots, **at) if addressing is None else addressing
        if self.addressing.slots != slots:
            raise OptionError(f"addressing is made for {self.addressing.slots} slots, but slots is {slots}.")
        if read_keys and not self.addressing.key_size:
            raise OptionError(f"read_keys needs slots with keys; {type(self.addressing).__name__} has none.")
        self.slots, self.width, self.read_keys = slots, width, read_keys
        self.read_size = width + (self.addressing.key_size if read_keys else 0)
        self.interface_size = self.addressing.address_size + width
        self.initial_memory = Start((slots, width), initial_memory, spread=(slots + width) ** -0.5, **at)
        self.initial_weights = Start((slots,), **at)

    def initial_state(self, batch_size: int) -> SlotHistoryState:
        """No entry, nothing read."""
        memory_BNW, none_BN = self.initial_memory(batch_size), self.initial_weights(batch_size)
        filled_B = torch.zeros(batch_size, dtype=torch.int64, device=none_BN.device)
        usage = none_BN if self.addressing.counts_reads else ()
        return SlotHistoryState(memory_BNW, none_BN.unsqueeze(1), filled_B, usage)

    def noise_spec(self, batch_size: int) -> SlotHistoryNoise | None:
        """Gumbel noise for the address, if it is drawn."""
        return SlotHistoryNoise(Draw((batch_size, self.slots), "gumbel")) if self.addressing.noisy else None

    def columns(self, half: Half) -> Sequence[int]:
        """Reading takes the address, writing the entry."""
        size = self.addressing.address_size
        return range(size) if half == "only_read" else range(size, self.interface_size)

    def forward(
        self, interface_BS: Tensor, state: SlotHistoryState, noise: SlotHistoryNoise | None = None
    ) -> tuple[Tensor, SlotHistoryState]:
        """One step: read, then write."""
        reads_BW, state = self.only_read(interface_BS, state, noise)
        return reads_BW, self.only_write(interface_BS, state)[1]

    def only_read(
        self, interface_BS: Tensor, state: SlotHistoryState, noise: SlotHistoryNoise | None = None
    ) -> tuple[Tensor, SlotHistoryState]:
        """Read; the entries stay."""
        address_BA = interface_BS[:, : self.addressing.address_size]
        weights_BN = self.addressing(address_BA, state, None if noise is None else noise.address)
        weights_B1N = weights_BN.unsqueeze(1)
        record(self, "read_weights", weights_B1N)
        usage = state.usage + weights_BN if self.addressing.counts_reads else ()
        reads = read(state.memory, weights_B1N).flatten(1)
        if self.read_keys:
            reads = torch.cat([weights_BN @ self.addressing.keys, reads], dim=-1)
        return reads, state._replace(read_weights=weights_B1N, usage=usage)

    def only_write(
        self, interface_BS: Tensor, state: SlotHistoryState, noise: SlotHistoryNoise | None = None
    ) -> tuple[None, SlotHistoryState]:
        """Write to the next empty slot, or where the last reading was."""
        entry_B1W = interface_BS[:, self.addressing.address_size :].unsqueeze(1)
        weights_BN = self.write_weighting(state)
        record(self, "write_weights", weights_BN.unsqueeze(1))
        memory_BNW = torch.lerp(state.memory, entry_B1W, weights_BN.unsqueeze(-1))
        return None, state._replace(memory=memory_BNW, filled=(state.filled + 1).clamp(max=self.slots))

    def write_weighting(self, state: SlotHistoryState) -> Tensor:
        """One-hot at the next empty slot; the last read weighting where there is none."""
        last_read_BN = stop_gradient(state.read_weights.squeeze(1))
        filled_B1 = state.filled.unsqueeze(-1)
        next_BN = torch.arange(self.slots, device=filled_B1.device) == filled_B1
        return torch.where(filled_B1 < self.slots, next_BN.type_as(last_read_BN), last_read_BN)
