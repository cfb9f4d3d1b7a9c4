"""The memories of the structured NTMs: several matrix memories, of which the heads read only the last.

Shapes: B batch, K levels, R read heads, V write heads (one for each written level), N slots, W width.
Source: "Structured memory for neural Turing machines": NTM1, NTM2, NTM3.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from torchmann.core.errors import OptionError, unknown_name
from torchmann.core.start import Start
from torchmann.functional import erase_and_add, read
from torchmann.memories.ntm import Heads, NTMMemory, NTMState


class StructuredNTMMemory(NTMMemory):
    """Levels of memory, each mixed with the one above it; the read heads see the last level.

    ``M_1`` is what its write head makes of it. For the levels below::

        M_k,t = a M_k,t-1  + b M_{k-1},t      written="first": a hidden memory that only accumulates (NTM1)
        M_k,t = a M~_k,t   + b M_{k-1},t      written="all": M~ is what the level's own write head made (NTM2, NTM3)

    A step writes, mixes, then reads. The state is that of `NTMMemory` with ``memory [B, K, N, W]``.

    Args:
        slots: N, of each level.
        width: W.
        levels: K, at least 2.
        written: which levels have a write head, ``"first"`` or ``"all"``.
        shared_heads: all write heads emit the same fields; each level keeps a weighting of its own.
        a: weight of the level's own past, where it starts.
        b: weight of the level above, where it starts.
        trained: learn a and b.
        options: further keywords of `NTMMemory`, without ``writes`` and ``order``.

    Raises:
        OptionError: fewer than two levels or an unknown name.
    """

    references = ("structured_ntm", "ntm")

    def __init__(
        self,
        slots: int,
        width: int,
        *,
        levels: int = 2,
        written: Literal["first", "all"] = "all",
        shared_heads: bool = False,
        a: float = 0.5,
        b: float = 0.5,
        trained: bool = True,
        device: Any = None,
        dtype: torch.dtype | None = None,
        **options: Any,
    ) -> None:
        if levels < 2:
            raise OptionError(f"levels must be at least 2, got {levels}; an NTMMemory has one.")
        if written not in ("first", "all"):
            raise unknown_name("written", written, ("first", "all"))
        at: dict[str, Any] = {"device": device, "dtype": dtype}
        self_writing = levels if written == "all" else 1
        super().__init__(slots, width, writes=1 if shared_heads else self_writing, order="write_first", **options, **at)
        self.levels, self.written_levels = levels, self_writing
        kind = self.initial_memory.kind
        fill = self.initial_memory.value
        spread = (slots + width) ** -0.5
        self.initial_memory = Start((levels, slots, width), kind, value=fill, spread=spread, **at)
        prior = self.initial_write_weights
        start = torch.arange(slots, 0, -1.0) if prior.kind == "softmax" else 0.0
        self.initial_write_weights = Start((self_writing, slots), prior.kind, value=start, **at)
        self.mixing: Tensor
        mixing = torch.tensor([a, b], **at)
        if trained:
            self.mixing = nn.Parameter(mixing)
        else:
            self.register_buffer("mixing", mixing)

    def write(self, heads: Heads, group: slice, state: NTMState) -> NTMState:
        """Each written level by its own head, then the mixture from the top down."""
        written = self.written_levels
        # a level is to its head what a row of the batch is to an NTM's: fold levels into the batch
        one_head = {name: _folded(field.expand(-1, written, *field.shape[2:])) for name, field in heads.items()}
        memory_FNW = state.memory[:, :written].flatten(0, 1)
        weights_F1N = self.address(memory_FNW, _folded(state.write_weights), one_head)
        written_FNW = erase_and_add(memory_FNW, weights_F1N, one_head["erase"], one_head["add"])
        written_BVNW = written_FNW.unflatten(0, (-1, written))
        above_BNW = written_BVNW[:, 0]
        levels = [above_BNW]
        for level in range(1, self.levels):
            own_BNW = written_BVNW[:, level] if level < written else state.memory[:, level]
            above_BNW = self.mixing[0] * own_BNW + self.mixing[1] * above_BNW
            levels.append(above_BNW)
        weights_BVN = weights_F1N.view_as(state.write_weights)
        return state._replace(memory=torch.stack(levels, dim=1), write_weights=weights_BVN)

    def read(self, heads: Heads, group: slice, state: NTMState) -> tuple[Tensor, NTMState]:
        """The read heads address and read the last level."""
        last_BNW = state.memory[:, -1]
        weights_BRN = self.address(last_BNW, state.read_weights, heads)
        return read(last_BNW, weights_BRN), state._replace(read_weights=weights_BRN)


def _folded(field_BV: Tensor) -> Tensor:
    """``[B, V, ...]`` as ``[B * V, 1, ...]``."""
    return field_BV.flatten(0, 1).unsqueeze(1)
