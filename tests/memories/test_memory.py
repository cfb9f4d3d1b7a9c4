"""What every memory shares: cutting an interface into fields, and where reads start."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from torchmann.core import OptionError, State
from torchmann.memories import DNCMemory, DNCState, Memory
from torchmann.memories.memory import fields_size, split_fields

SHAPES = {"key": (2, 3), "gate": (2,), "matrix": (1, 2, 2)}


def test_fields_are_cut_in_order() -> None:
    assert fields_size(SHAPES) == 12
    fields = split_fields(torch.arange(24.0).view(2, 12), SHAPES)
    assert {name: tuple(value.shape) for name, value in fields.items()} == {
        name: (2, *shape) for name, shape in SHAPES.items()
    }
    assert fields["key"][0].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert fields["gate"][1].tolist() == [18, 19]
    assert fields["matrix"][0].flatten().tolist() == [8, 9, 10, 11]


class Register(Memory):
    """The smallest memory: one word, replaced by what comes."""

    interface_size = read_size = 3

    def initial_state(self, batch_size: int) -> Any:
        return DNCMemory(1, 3, dtype=torch.float64).initial_state(batch_size)

    def forward(self, interface_BS: Tensor, state: DNCState, noise: None = None) -> tuple[Tensor, State]:
        return state.memory[:, 0], state._replace(memory=interface_BS.unsqueeze(1))


def test_reads_start_at_zero_in_the_dtype_of_the_state() -> None:
    reads = Register().initial_reads(4)
    assert reads.shape == (4, 3) and reads.dtype == torch.float64 and not reads.any()


def test_held_halves_are_refused_where_a_memory_has_none() -> None:
    with pytest.raises(OptionError, match="Register has no step that only reads; write with hold='both'"):
        Register().only_read(torch.zeros(1, 3), None)
    with pytest.raises(OptionError, match="Register has no step that only writes; write with hold='both'"):
        Register().only_write(torch.zeros(1, 3), None)


def test_memory_must_define_its_start() -> None:
    with pytest.raises(TypeError, match="Memory must define initial_state"):
        Memory().initial_state(1)
