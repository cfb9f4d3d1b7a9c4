"""The base classes say what a subclass must define, and have one step kind."""

from __future__ import annotations

import pytest
import torch

from torchmann.cells import ElmanCell, MemoryAugmentedCell, Stacked
from torchmann.core import DENSE, Cell, Controller, OptionError
from torchmann.memories import Distributed, SlotHistory


def test_what_is_missing_is_named() -> None:
    with pytest.raises(TypeError, match=r"Cell must define initial_state\(batch_size\)"):
        Cell().initial_state(1)
    with pytest.raises(TypeError, match=r"Controller must define hidden\(state\)"):
        Controller().hidden(None)
    with pytest.raises(TypeError, match=r"Controller must define with_hidden\(state, hidden\)"):
        Controller().with_hidden(None, torch.zeros(1))


def test_a_cell_is_deterministic_dense_and_free_of_penalties_unless_it_says_so() -> None:
    cell = ElmanCell(2, 3)
    assert cell.noise_spec(4) is None and cell.penalties(cell.initial_state(4)) == {} and cell.annealed == ()
    assert list(cell.schedule(3, start=5)) == [DENSE] * 3
    assert cell.step_of_kind(DENSE) is cell
    with pytest.raises(OptionError, match="ElmanCell has only the step kind 'dense', not 'hold'"):
        cell.step_of_kind("hold")


class Sloped(ElmanCell):
    """A cell with a number of its own to anneal."""

    annealed = ("slope",)

    def __init__(self) -> None:
        super().__init__(2, 2)
        self.register_buffer("slope", torch.tensor(1.0))


def test_what_the_parts_anneal_is_named_by_its_path() -> None:
    stack = Stacked([Sloped(), Stacked([ElmanCell(2, 2), Sloped()])])
    assert stack.annealed == ("cells.0.slope", "cells.1.cells.1.slope")
    assert all(stack.get_buffer(name).shape == () for name in stack.annealed)
    memory = Distributed(lambda: SlotHistory(3, 2), 4)
    cell = MemoryAugmentedCell(Sloped(), memory, feedback=False)
    assert cell.annealed == ("controller.slope", "memory.block.memory.addressing.temperature")
    assert cell.get_buffer(cell.annealed[1]).tolist() == [1.0] * 4, "one for each block"


def test_features_of_a_controller_are_its_hidden_vector() -> None:
    cell = ElmanCell(2, 3)
    state = cell.initial_state(4)._replace(h=torch.randn(4, 3))
    assert torch.equal(cell.features(state)["h"], state.h) and cell.feature_sizes == {"h": 3}
    assert torch.equal(cell.hidden(cell.with_hidden(state, state.h + 1)), state.h + 1)
