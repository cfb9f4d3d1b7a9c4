"""A sparse memory's step on the rows that it touches: once to go forward, and again, from a journal, for gradients.

Shapes: B batch, R read heads, V write heads, W width, K slots that a head reads, C slots that a head writes, P slots
that a step touches.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from itertools import compress
from typing import Protocol

import torch
from torch import Tensor

from torchmann.cells.memory_cell import MemoryCell
from torchmann.engines.sparse_buffer import Buffer
from torchmann.engines.sparse_order import Ages
from torchmann.engines.sparse_search import Nearest
from torchmann.memories.fields import Fields
from torchmann.memories.memory import Memory
from torchmann.memories.sparse import SparseMemory, SparseState, erase_and_add_at, rows_at, words


class Rows(Protocol):
    """Where the rows that a step touches come from, and which these are."""

    def write(self, read_BRK: Tensor, words_BVCW: Tensor) -> Tensor:
        """Erase the least recently accessed slots and add words to them and to what was read last; ``[B, V, C]``."""

    def read(self, query_BRW: Tensor) -> tuple[Tensor, Tensor]:
        """The slots nearest to each query ``[B, R, K]`` and their contents ``[B, R, K, W]``."""

    def accessed(self, slots_BP: Tensor, weights_BP: Tensor) -> None:
        """The weights with which the slots were accessed."""


class TouchedMemory(Memory):
    """A `SparseMemory` whose rows are elsewhere: its state has neither the memory nor the time since the last access.

    Args:
        memory: whose equations these are.
        rows: where its rows are.
    """

    def __init__(self, memory: SparseMemory, rows: Rows) -> None:
        super().__init__()
        self.memory, self.rows = memory, rows

    def write(self, fields: Fields, state: SparseState) -> tuple[Tensor, Tensor]:
        """Write; the slots that were written and their weights, ``[B, V C]``."""
        weights_BVC = self.memory.write_weighting(fields, state.read_values)
        slots_BVC = self.rows.write(state.read_slots, words(fields, weights_BVC))
        return slots_BVC.flatten(1), weights_BVC.flatten(1)

    def read(self, fields: Fields, state: SparseState) -> tuple[Tensor, SparseState]:
        """Each head reads the K slots nearest to its query, ``[B, R W]``."""
        slots_BRK, rows_BRKW = self.rows.read(fields["read_query"])
        weights_BRK = self.memory.content_weights(fields, rows_BRKW)
        reads_BRW = (weights_BRK.unsqueeze(2) @ rows_BRKW).squeeze(2)
        return reads_BRW.flatten(1), state._replace(read_slots=slots_BRK, read_values=weights_BRK)

    def forward(self, interface_BS: Tensor, state: SparseState, noise: None = None) -> tuple[Tensor, SparseState]:
        """One step: write, then read."""
        fields = self.memory.interface(interface_BS)
        slots_BP, weights_BP = self.write(fields, state)
        reads_BX, state = self.read(fields, state)
        self.rows.accessed(
            torch.cat([slots_BP, state.read_slots.flatten(1)], dim=1),
            torch.cat([weights_BP, state.read_values.flatten(1)], dim=1),
        )
        return reads_BX, state

    def only_read(self, interface_BS: Tensor, state: SparseState, noise: None = None) -> tuple[Tensor, SparseState]:
        """Read; the memory stays."""
        reads_BX, state = self.read(self.memory.interface(interface_BS), state)
        self.rows.accessed(state.read_slots.flatten(1), state.read_values.flatten(1))
        return reads_BX, state

    def only_write(self, interface_BS: Tensor, state: SparseState, noise: None = None) -> tuple[None, SparseState]:
        """Write; what was read last stays."""
        self.rows.accessed(*self.write(self.memory.interface(interface_BS), state))
        return None, state


def on_rows(cell: MemoryCell, memory: SparseMemory, rows: Rows) -> MemoryCell:
    """A cell with all parts of the given one but its memory, whose rows are `rows`."""
    twin = copy.copy(cell)
    twin._modules = {**cell._modules, "memory": TouchedMemory(memory, rows)}
    return twin


def first_places(slots_BP: Tensor) -> Tensor:
    """Where each slot stands first in its row, ``[B, P]``."""
    if not slots_BP.shape[1]:
        return slots_BP
    return (slots_BP.unsqueeze(-1) == slots_BP.unsqueeze(-2)).int().argmax(-1)


class LiveRows:
    """The rows of a buffer, which a step changes.

    Args:
        memory: whose rows these are.
        memory_BNW: its contents before the first step.
        elapsed_BN: its ages.
        steps: how many steps there will be.
    """

    def __init__(self, memory: SparseMemory, memory_BNW: Tensor, elapsed_BN: Tensor, steps: int) -> None:
        self.memory = memory
        room = steps * (memory.reads * memory.nearest + memory.writes)
        self.buffer = Buffer(memory_BNW, float(memory.initial_row.value), room)
        self.nearest = Nearest(memory, self.buffer)
        self.ages = [Ages(elapsed_N) for elapsed_N in elapsed_BN]
        self.begin(None)

    def begin(self, running_B: Tensor | None) -> None:
        """The next step begins, which leaves alone the rows of the batch that do not run."""
        self.running_B = running_B
        self.slots: list[Tensor] = []  # that the step touches, group by group
        self.contents = [self.buffer.rows_BUW[:, :0]]  # of these slots, as they were before, [B, P, W]

    def restart(self, row: int) -> None:
        """Let a row of the batch start anew."""
        self.buffer.restart(row)
        self.nearest.restart(row)
        self.ages[row] = Ages(torch.zeros_like(self.ages[row].at_start_N))

    def touch(self, slots: Tensor) -> Tensor:
        """The contents ``[B, P, W]`` of ``slots [B, ...]``, noted for the journal."""
        rows_BPW = self.buffer.at(slots.flatten(1))
        self.slots.append(slots)
        self.contents.append(rows_BPW)
        return rows_BPW

    def entry(self) -> tuple[Tensor, Tensor, list[torch.Size]]:
        """The step's entry in the journal: all slots that it touched ``[B, P]``, their contents, the groups' shapes.

        A slot may be there more than once; what it held before the step is where it stands first.
        """
        rows_BPW = torch.cat(self.contents, dim=1)
        slots = [rows_BPW.new_empty(len(rows_BPW), 0, dtype=torch.int64), *(group.flatten(1) for group in self.slots)]
        return torch.cat(slots, dim=1), rows_BPW, [group.shape[1:] for group in self.slots]

    def write(self, read_BRK: Tensor, words_BVCW: Tensor) -> Tensor:
        """As `Rows.write`."""
        oldest = [ages.oldest(self.memory.writes) for ages in self.ages]
        slots_BVC = self.memory.slots_to_write(read_BRK, torch.tensor(oldest, device=read_BRK.device))
        before_BPW = self.touch(slots_BVC)
        slots_BP = slots_BVC.flatten(1)
        place_BP = first_places(slots_BP)
        place_BVC = place_BP.view_as(slots_BVC)
        after_BPW = rows_at(erase_and_add_at(before_BPW, place_BVC[..., -1], place_BVC, words_BVCW), place_BP)
        if self.running_B is not None:
            after_BPW = torch.where(self.running_B.view(-1, 1, 1), after_BPW, before_BPW)
        self.nearest.changed(self.buffer.put(slots_BP, after_BPW), after_BPW)
        return slots_BVC

    def read(self, query_BRW: Tensor) -> tuple[Tensor, Tensor]:
        """As `Rows.read`."""
        slots_BRK = self.nearest(query_BRW)
        return slots_BRK, self.touch(slots_BRK).unflatten(1, slots_BRK.shape[1:])

    def accessed(self, slots_BP: Tensor, weights_BP: Tensor) -> None:
        """As `Rows.accessed`: a slot whose weights sum to more than delta is now the one accessed last."""
        same_BPP = (slots_BP.unsqueeze(-1) == slots_BP.unsqueeze(-2)).type_as(weights_BP)
        accessed_BP = (same_BPP @ weights_BP.unsqueeze(-1)).squeeze(-1) > self.memory.delta
        running = [True] * len(slots_BP) if self.running_B is None else self.running_B.tolist()
        for ages, slots, chosen, runs in zip(self.ages, slots_BP.tolist(), accessed_BP.tolist(), running, strict=True):
            if runs:
                ages.step(sorted(set(compress(slots, chosen))))

    def elapsed(self) -> Tensor:
        """Steps since each slot was accessed, ``[B, N]``."""
        return torch.stack([ages.elapsed() for ages in self.ages])


class JournalRows:
    """The rows of one step, from the journal: changed out of place, so that the step can be differentiated.

    What it gives for slots are places among the rows of the entry that is open.
    """

    rows_BPW: Tensor
    groups: Iterator[Tensor]

    def open(self, rows_BPW: Tensor, place_BP: Tensor, shapes: Sequence[torch.Size]) -> None:
        """Go to an entry.

        Args:
            rows_BPW: what the step's slots held before.
            place_BP: where among them each slot that the step touches stands first.
            shapes: of the groups in which it touches them.
        """
        parts = place_BP.split([shape.numel() for shape in shapes], dim=1) if shapes else ()
        self.rows_BPW = rows_BPW
        self.groups = iter([part.unflatten(1, shape) for part, shape in zip(parts, shapes, strict=True)])

    def write(self, read_BRK: Tensor, words_BVCW: Tensor) -> Tensor:
        """As `Rows.write`."""
        place_BVC = next(self.groups)
        self.rows_BPW = erase_and_add_at(self.rows_BPW, place_BVC[..., -1], place_BVC, words_BVCW)
        return place_BVC

    def read(self, query_BRW: Tensor) -> tuple[Tensor, Tensor]:
        """As `Rows.read`."""
        place_BRK = next(self.groups)
        return place_BRK, rows_at(self.rows_BPW, place_BRK)

    def accessed(self, slots_BP: Tensor, weights_BP: Tensor) -> None:
        """The journal keeps no ages."""
