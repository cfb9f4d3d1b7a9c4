"""The controller that hands its input on, and the readout that sees the reads alone."""

from __future__ import annotations

import pytest
import torch

import torchmann as tm
from torchmann.cells import FeedForwardCell, GRUCell, PassThrough, ReadsReadout
from torchmann.core import OptionError
from torchmann.memories import NTMMemory, RelationalMemory

B = 3


def test_the_input_goes_through() -> None:
    controller, x = PassThrough(4), torch.randn(B, 4)
    state = controller.initial_state(B)
    assert state.h.shape == (B, 4) and not state.h.any()
    output, state = controller(x, state)
    assert torch.equal(output, x) and torch.equal(controller.hidden(state), x)
    assert controller.feature_sizes == {"h": 4} and torch.equal(controller.features(state)["h"], x)
    assert torch.equal(controller.with_hidden(state, -x).h, -x)
    assert not list(controller.parameters())


def test_cached_writing_needs_a_recurrent_controller() -> None:
    memory = RelationalMemory(4, 4)
    with pytest.raises(OptionError, match="cached writing replaces the controller's last hidden vector"):
        tm.MemoryAugmentedCell(PassThrough(3), memory, feedback=False, writing="cached:2")


def test_any_memory_takes_the_input_itself() -> None:
    """With feedback the last reads stand beside the input, and go through as well."""
    model = tm.Recurrent(tm.MemoryAugmentedCell(PassThrough(3 + 4), NTMMemory(5, 4), output_size=2))
    x = torch.randn(6, B, 3)
    output, state = model(x)
    _, before = model(x[:-1])
    assert output.shape == (6, B, 2)
    assert torch.equal(state.controller.h, torch.cat([x[-1], before.reads], dim=-1))


def test_readout_sees_the_reads_alone() -> None:
    hidden, reads = torch.randn(B, 7), torch.randn(B, 5)
    assert torch.equal(ReadsReadout(5)(hidden, reads), reads) and ReadsReadout(5).output_size == 5
    linear = ReadsReadout(5, 2)
    torch.testing.assert_close(linear(hidden, reads), reads @ linear.linear.weight.T + linear.linear.bias)
    deep = ReadsReadout(5, 2, layers=[6, 4])
    expected = deep.layers[1](deep.layers[0](reads).relu()).relu()
    torch.testing.assert_close(deep(hidden, reads), deep.linear(expected))
    assert torch.equal(deep(hidden, reads), deep(-hidden, reads))
    cut = ReadsReadout(5, layers=[6])
    torch.testing.assert_close(cut(hidden, reads), cut.layers[0](reads).relu())
    assert cut.output_size == 6


def test_a_memory_network_without_its_memory_knows_nothing() -> None:
    """The output of held steps is that of the reads that were kept."""
    memory = RelationalMemory(4, 4)
    readout = ReadsReadout(memory.read_size, 2)
    for controller in (PassThrough(3), FeedForwardCell(3, 5), GRUCell(3, 5)):
        cell = tm.MemoryAugmentedCell(controller, memory, readout=readout, feedback=False, writing="uniform:3")
        output, _ = tm.Recurrent(cell)(torch.randn(6, B, 3))
        assert torch.equal(output[0], output[1]) and torch.equal(output[2], output[3]), type(controller).__name__
        assert not torch.allclose(output[1], output[2])
