"""Layers with skip connections: each sees the input beside the layer below, and all of them are the output."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import torchmann as tm
from torchmann.cells import ElmanCell, FeedForwardCell, GRUCell, LinearInterface, LSTMCell, SkipStacked
from torchmann.cells.stacked import StackedNoise
from torchmann.core import OptionError
from torchmann.memories import CachedUniform, DNCMemory
from torchmann.models.controllers import make_controller

B, IN = 3, 4


def layers() -> list[LSTMCell]:
    return [LSTMCell(IN, 6), LSTMCell(IN + 6, 5), LSTMCell(IN + 5, 2)]


def started(stack: SkipStacked) -> tuple[Tensor, tm.State]:
    """An input and a state that is not the first one."""
    _, state = stack(torch.randn(B, IN), stack.initial_state(B))
    return torch.randn(B, IN), state


def test_each_layer_sees_the_input_and_the_layer_below() -> None:
    cells = layers()
    stack = SkipStacked(cells)
    x, state = started(stack)
    output, after = stack(x, state)
    below, outputs = x[:, :0], []
    for number, cell in enumerate(cells):
        below, expected = cell(torch.cat([x, below], dim=1), state.layers[number])
        torch.testing.assert_close(after.layers[number].flatten(), expected.flatten())
        outputs.append(below)
    assert (stack.input_size, stack.output_size) == (IN, 6 + 5 + 2)
    torch.testing.assert_close(output, torch.cat(outputs, dim=1))


def test_no_layer_stands_between_another_and_the_input_or_the_output() -> None:
    """With all ways from layer to layer cut, a change of the input still reaches every part of the output."""
    cells = layers()
    stack = SkipStacked(cells)
    with torch.no_grad():
        for cell in cells[1:]:
            cell.weight_ih[:, IN:] = 0
    x, state = started(stack)
    changed = stack(x, state)[0] != stack(x + 1, state)[0]
    assert all(part.all() for part in changed.split([6, 5, 2], dim=1))


def test_dropout_concerns_the_way_up_only() -> None:
    cells = layers()
    stack = SkipStacked(cells, dropout=0.25)
    x, state = started(stack)
    nothing = (torch.zeros(B, 6), torch.zeros(B, 5))
    output, _ = stack(x, state, StackedNoise((None, None, None), nothing))
    alone = [
        cell(torch.cat([x, torch.zeros(B, cell.input_size - IN)], dim=1), layer)[0]
        for cell, layer in zip(cells, state.layers, strict=True)
    ]
    torch.testing.assert_close(output, torch.cat(alone, dim=1))


def test_the_hidden_vector_is_that_of_all_layers() -> None:
    stack = SkipStacked([GRUCell(IN, 6), LSTMCell(IN + 6, 5)])
    x, state = started(stack)
    output, state = stack(x, state)
    assert torch.equal(stack.hidden(state), output), "the output of these cells is their hidden vector"
    hidden = torch.randn(B, 11)
    replaced = stack.with_hidden(state, hidden)
    assert torch.equal(stack.hidden(replaced), hidden)
    assert replaced.layers[1].c is state.layers[1].c


def test_features_that_all_layers_have_are_joined() -> None:
    stack = SkipStacked([LSTMCell(IN, 6), GRUCell(IN + 6, 3), LSTMCell(IN + 3, 5)])
    _, state = started(stack)
    features = stack.features(state)
    assert {name: value.shape[1] for name, value in features.items()} == stack.feature_sizes
    assert stack.feature_sizes == {"0.h": 6, "0.c": 6, "1.h": 3, "2.h": 5, "2.c": 5, "h": 14, "c": 5}
    assert torch.equal(features["h"], stack.hidden(state)) and features["c"] is state.layers[2].c
    lstms = SkipStacked(layers())
    _, state = started(lstms)
    assert torch.equal(lstms.features(state)["c"], torch.cat([layer.c for layer in state.layers], dim=1))


def test_it_drives_a_memory_and_its_cache() -> None:
    memory = DNCMemory(5, 3)
    seen = IN + memory.read_size
    stack = SkipStacked([LSTMCell(seen, 6), LSTMCell(seen + 6, 5)])
    interface = LinearInterface(stack, memory, source="c")
    cell = tm.MemoryAugmentedCell(stack, memory, interface=interface, writing=CachedUniform(2, attention_size=4))
    output, state = tm.Recurrent(cell)(torch.randn(4, B, IN))
    assert output.shape == (4, B, 11) and interface.linear.in_features == 11
    assert cell.readout.linear.in_features == 11 + 3


def test_recurrent_if_any_layer_is() -> None:
    assert SkipStacked([LSTMCell(IN, 6), FeedForwardCell(IN + 6, 5)]).recurrent
    assert not SkipStacked([FeedForwardCell(IN, 6), FeedForwardCell(IN + 6, 5)]).recurrent


@pytest.mark.parametrize("model", [tm.DNC, tm.NTM, tm.DAM])
def test_by_name_in_a_model(model: type[tm.Recurrent]) -> None:
    options = {"blocks": 2} if model is tm.DAM else {}
    built = model(IN, 6, slots=5, width=3, controller="skip_lstm", layers=3, **options)
    stacks = [module for module in built.modules() if isinstance(module, SkipStacked)]
    assert [cell.input_size for cell in stacks[0].cells] == [IN + 3, IN + 3 + 6, IN + 3 + 6]
    assert built.cell.readout.linear.in_features == 3 * 6 + 3
    assert built(torch.randn(2, B, IN))[0].shape == (2, B, 6)
    assert "Generating sequences" in built.citation


def test_a_single_layer_is_no_stack() -> None:
    options = {"clip": None, "initial": "constant", "device": None, "dtype": None}
    assert type(make_controller("skip_lstm", 4, 6, layers=1, **options)) is LSTMCell


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ([], "cells must hold at least one cell"),
        ([(4, 6), (6, 5)], r"cells\[1\] is shown 10 features, but takes 6: build it with input_size=10"),
    ],
)
def test_what_does_not_fit_is_refused(sizes: list[tuple[int, int]], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        SkipStacked([ElmanCell(*size) for size in sizes])
