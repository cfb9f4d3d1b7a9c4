"""A row of named fields: where they lie, and that each half of a step looks at its own alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from torchmann.memories import SparseDNCMemory, SparseMemory, VisibleMemory
from torchmann.memories.fields import FieldMemory

MEMORIES: dict[str, Callable[[], FieldMemory]] = {
    "sparse": lambda: SparseMemory(6, 3, reads=2, nearest=2),
    "sparse_dnc": lambda: SparseDNCMemory(6, 3, nearest=2, link_entries=2),
    "visible": lambda: VisibleMemory(6, 3, nearest=2, link_entries=2, strength="oneplus"),
}


def test_fields_are_cut_in_order_and_activated() -> None:
    memory = FieldMemory()
    memory.add_field("read_key", 2, 3)
    memory.add_field("gate", 2, activation=torch.sigmoid)
    fields = memory.interface(torch.arange(8.0).unsqueeze(0))
    assert memory.interface_size == 8 and fields["read_key"].tolist() == [[[0, 1, 2], [3, 4, 5]]]
    assert fields["gate"].tolist() == [torch.tensor([6.0, 7.0]).sigmoid().tolist()]
    assert memory.columns("only_read") == [0, 1, 2, 3, 4, 5] and memory.columns("only_write") == [6, 7]


@pytest.mark.parametrize("name", MEMORIES)
def test_each_half_looks_at_its_columns_alone(name: str) -> None:
    memory = MEMORIES[name]()
    state = memory.initial_state(2)
    for _ in range(5):
        _, state = memory(torch.randn(2, memory.interface_size), state)
    interface_BS = torch.randn(2, memory.interface_size)
    without_read, without_write = interface_BS.clone(), interface_BS.clone()
    without_read[:, list(memory.columns("only_read"))] = torch.nan
    without_write[:, list(memory.columns("only_write"))] = torch.nan
    assert torch.equal(memory.only_read(without_write, state)[0], memory.only_read(interface_BS, state)[0])
    _, expected = memory.only_write(interface_BS, state)
    assert torch.equal(memory.only_write(without_read, state)[1].memory, expected.memory)
