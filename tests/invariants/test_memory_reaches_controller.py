"""Changing the memory changes the controller's next state: what makes a memory worth having.

The most-used public DNC fails this. Every memory-augmented cell of the conformance suite is tried.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conformance.test_cells import CELLS
from torch import Tensor

import torchmann as tm
from torchmann.cells import MemoryCell, ReadFirstCell
from torchmann.core import named_leaves

AUGMENTED = [name for name, make in CELLS.items() if isinstance(make(), MemoryCell)]


def controller_after(cell: MemoryCell, xs: Tensor, state: Any) -> Tensor:
    """All of the controller's state after the given steps."""
    for x in xs:
        _, state = cell(x, state)
    return torch.cat([leaf.flatten() for _, leaf in named_leaves(state.controller)])


def with_other_contents(state: Any) -> Any:
    """The state with noise on what is stored, in every block of a memory, and on nothing else."""
    leaves = state.flatten()
    stored = {name: leaf for name, leaf in leaves.items() if name.startswith("memory.") and name.endswith(".memory")}
    assert stored
    return state.unflatten(leaves | {name: leaf + 0.5 * torch.randn_like(leaf) for name, leaf in stored.items()})


@pytest.mark.parametrize("name", AUGMENTED)
@settings(max_examples=10)
@given(seed=st.integers(0, 2**32))
def test_memory_changes_the_next_state(name: str, seed: int) -> None:
    torch.manual_seed(seed)
    cell = CELLS[name]().eval()
    with torch.no_grad():
        _, state = tm.Recurrent(cell)(torch.randn(4, 2, cell.input_size))
        other = with_other_contents(state)
        xs = torch.randn(2, 2, cell.input_size)
        at_once = [controller_after(cell, xs[:1], given) for given in (state, other)]
        next_step = [controller_after(cell, xs, given) for given in (state, other)]
    if isinstance(cell, ReadFirstCell):
        assert (at_once[0] - at_once[1]).abs().max() > 1e-6
        return
    torch.testing.assert_close(*at_once, rtol=0, atol=0)  # this step's controller has not read it yet
    if cell.feedback:
        assert (next_step[0] - next_step[1]).abs().max() > 1e-6
    else:
        torch.testing.assert_close(*next_step, rtol=0, atol=0)


def test_all_families_are_among_the_cells() -> None:
    memories = {type(CELLS[name]().memory).__name__ for name in AUGMENTED if CELLS[name]().feedback}
    assert {"DNCMemory", "NTMMemory", "SlotHistory"} <= memories
