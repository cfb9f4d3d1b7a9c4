"""The buffer of the sparse engine: the rows of a memory that are not as they were at the start, changed in place.

A memory starts with equal rows. Those that no step has written need no room, and no search among them: they are all
equally near to a query. So the buffer holds the others, each at a place of its own, and grows as slots are written.

Shapes: B batch, N slots, W width, U places, C slots that are written, P slots of any number, K slots that are chosen.
"""

from __future__ import annotations

import torch
from torch import Tensor

from torchmann.engines.sparse_order import Front
from torchmann.memories.sparse import rows_at


class Buffer:
    """Memories, one for each row of the batch.

    Args:
        memory_BNW: what they hold at first; it is copied where it differs from `start`.
        start: the number that fills a memory which nothing was written to.
        room: how many slots of a memory will be written at most.
    """

    def __init__(self, memory_BNW: Tensor, start: float, room: int) -> None:
        batch, self.slots, width = memory_BNW.shape
        self.start = start
        equal = memory_BNW.stride(1) == 0  # all rows are one, as in an initial state
        seen_BNW = memory_BNW[:, :1] if equal else memory_BNW
        written_BN = ((seen_BNW.amin(-1) != start) | (seen_BNW.amax(-1) != start)).expand(-1, self.slots)
        self.held = written_BN.sum(1).tolist()  # places that are taken
        places = min(self.slots, max(self.held) + room)
        self.rows_BUW = memory_BNW.new_empty(batch, places, width)
        self.slot_BU = memory_BNW.new_zeros(batch, places, dtype=torch.int64)
        self.place_BN = memory_BNW.new_full((batch, self.slots), -1, dtype=torch.int64)
        self.blank: list[Front] = []
        self.taken: list[set[int]] = [set() for _ in range(batch)]  # slots that got a place since
        for row, held in enumerate(self.held):
            everything = held == self.slots
            slots_U = written_BN[row].nonzero().squeeze(-1)
            self.rows_BUW[row, :held] = memory_BNW[row] if everything else memory_BNW[row, slots_U]
            self.slot_BU[row, :held] = slots_U
            self.place_BN[row, slots_U] = torch.arange(held, device=slots_U.device)
            blank_N = (~written_BN[row]).nonzero().squeeze(-1)
            self.blank.append(Front(blank_N.cpu().numpy() if held else range(self.slots)))

    def restart(self, row: int) -> None:
        """Let a memory be as nothing was written to it."""
        self.held[row] = 0
        self.place_BN[row] = -1
        self.blank[row], self.taken[row] = Front(range(self.slots)), set()

    def at(self, slots_BP: Tensor) -> Tensor:
        """The contents of slots, ``[B, P, W]``."""
        place_BP = self.place_BN.gather(1, slots_BP)
        if not self.rows_BUW.shape[1]:
            return self.rows_BUW.new_full((*slots_BP.shape, self.rows_BUW.shape[-1]), self.start)
        rows_BPW = rows_at(self.rows_BUW, place_BP.clamp_min(0))
        return rows_BPW.masked_fill((place_BP < 0).unsqueeze(-1), self.start)

    def put(self, slots_BC: Tensor, rows_BCW: Tensor) -> Tensor:
        """Write ``rows [B, C, W]``, equal ones to equal slots; returns their places ``[B, C]``."""
        place_BC = self.place_BN.gather(1, slots_BC)
        new_BC = place_BC < 0
        if new_BC.any():
            self._take(slots_BC, new_BC)
            place_BC = self.place_BN.gather(1, slots_BC)
        self.rows_BUW.scatter_(1, place_BC.unsqueeze(-1).expand_as(rows_BCW), rows_BCW)
        return place_BC

    def _take(self, slots_BC: Tensor, new_BC: Tensor) -> None:
        """Give a place to each slot that has none."""
        first_B1 = torch.arange(len(slots_BC), device=slots_BC.device).unsqueeze(1) * self.slots
        numbers = (first_B1 + slots_BC)[new_BC].unique()
        places = []
        for number in numbers.tolist():
            row, slot = divmod(number, self.slots)
            self.taken[row].add(slot)
            places.append(self.held[row])
            self.held[row] += 1
        place = torch.tensor(places, device=slots_BC.device)
        self.place_BN.view(-1)[numbers] = place
        self.slot_BU[numbers // self.slots, place] = numbers % self.slots

    def blanks(self, chosen: int) -> Tensor:
        """The lowest slots that hold the start, ``[B, K]``; -1 where a memory has no more of them."""
        lowest = [blank.first(chosen, taken.__contains__) for blank, taken in zip(self.blank, self.taken, strict=True)]
        rows = [[*slots, *[-1] * (chosen - len(slots))] for slots in lowest]
        return torch.tensor(rows, device=self.slot_BU.device)

    def memory(self) -> Tensor:
        """The memories whole, ``[B, N, W]``; the buffer itself if it holds every slot in order. Ends its use."""
        batch, _, width = self.rows_BUW.shape
        if min(self.held) == self.slots and bool((self.slot_BU.diff() == 1).all()):
            return self.rows_BUW
        memory_BNW = self.rows_BUW.new_full((batch, self.slots, width), self.start)
        for row, held in enumerate(self.held):
            memory_BNW[row, self.slot_BU[row, :held]] = self.rows_BUW[row, :held]
        return memory_BNW
