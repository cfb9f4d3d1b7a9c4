"""Stacked cells: each reads the one below; dropout between them comes from the noise."""

from __future__ import annotations

import pytest
import torch

import torchmann as tm
from torchmann.cells import ElmanCell, GRUCell, LSTMCell
from torchmann.cells.stacked import StackedNoise, StackedState
from torchmann.core import OptionError
from torchmann.memories import DNCMemory, Uniform

B = 3


def layers() -> list[LSTMCell]:
    return [LSTMCell(4, 6), LSTMCell(6, 5), LSTMCell(5, 2)]


def test_each_layer_reads_the_one_below() -> None:
    cells = layers()
    stacked, x = tm.Stacked(cells), torch.randn(B, 4)
    assert (stacked.input_size, stacked.output_size) == (4, 2)
    output, state = stacked(x, stacked.initial_state(B))
    for cell, layer in zip(cells, state.layers, strict=True):
        x, expected = cell(x, cell.initial_state(B))
        torch.testing.assert_close(layer.flatten(), expected.flatten())
    torch.testing.assert_close(output, x)


def test_dropout_masks_and_scales_between_layers_only() -> None:
    cells = layers()
    stacked, x = tm.Stacked(cells, dropout=0.25), torch.randn(B, 4)
    state = stacked.initial_state(B)
    kept = (torch.bernoulli(torch.full((B, 6), 0.75)), torch.bernoulli(torch.full((B, 5), 0.75)))
    output, after = stacked(x, state, StackedNoise((None, None, None), kept))
    y = x
    for number, cell in enumerate(cells):
        y = y if number == 0 else y * kept[number - 1] / 0.75
        y, _ = cell(y, state.layers[number])
    torch.testing.assert_close(output, y)
    assert torch.equal(after.layers[2].h, output), "the top layer's output is not dropped"


def test_noise_spec_declares_the_masks() -> None:
    assert tm.Stacked(layers()).noise_spec(B) is None
    spec = tm.Stacked(layers(), dropout=0.25).noise_spec(B)
    assert [draw.shape for draw in spec.kept] == [(B, 6), (B, 5)]
    assert all(draw.distribution == "bernoulli" and draw.probability == 0.75 for draw in spec.kept)
    nested = tm.Stacked([tm.Stacked(layers(), dropout=0.5), ElmanCell(2, 3)])
    spec = nested.noise_spec(B)
    assert spec.layers[0].kept[0].shape == (B, 6) and spec.layers[1] is None and spec.kept == (None,)


def test_training_drops_and_evaluation_does_not() -> None:
    model = tm.Recurrent(tm.Stacked(layers(), dropout=0.5))
    x = torch.randn(4, B, 4)
    first, second = (model(x, generator=torch.Generator().manual_seed(seed))[0] for seed in (0, 1))
    assert not torch.allclose(first, second)
    undropped = tm.Recurrent(tm.Stacked(list(model.cell.cells)))
    torch.testing.assert_close(model.eval()(x)[0], undropped(x)[0])


def test_dropout_is_right_in_the_mean() -> None:
    stacked = tm.Stacked([ElmanCell(1, 1), ElmanCell(1, 1, nonlinearity="relu")], dropout=0.5)
    with torch.no_grad():
        for cell in stacked.cells:
            cell.weight_ih.fill_(1)
    ones = torch.ones(1, 20000, 1)
    dropped, _ = tm.Recurrent(stacked)(ones, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(dropped.mean(), ones.mean().tanh(), rtol=0.03, atol=0)


def test_features_are_numbered_and_the_top_ones_also_plain() -> None:
    stacked = tm.Stacked([GRUCell(4, 6), LSTMCell(6, 5)])
    _, state = stacked(torch.randn(B, 4), stacked.initial_state(B))
    features = stacked.features(state)
    assert {name: value.shape[1] for name, value in features.items()} == stacked.feature_sizes
    assert stacked.feature_sizes == {"0.h": 6, "1.h": 5, "1.c": 5, "h": 5, "c": 5}
    assert features["0.h"] is state.layers[0].h and features["c"] is state.layers[1].c
    replaced = stacked.with_hidden(state, torch.zeros(B, 5))
    assert type(replaced) is StackedState and not stacked.hidden(replaced).any()
    assert replaced.layers[0] is state.layers[0] and replaced.layers[1].c is state.layers[1].c


def memory_cell(interval: int) -> tm.MemoryAugmentedCell:
    return tm.MemoryAugmentedCell(LSTMCell(4 + 3, 4), DNCMemory(5, 3), writing=Uniform(interval))


def test_schedules_of_layers_run_side_by_side() -> None:
    stacked = tm.Stacked([memory_cell(2), memory_cell(3)])
    assert stacked.schedule(3, start=3) == [("dense", "hold"), ("hold", "hold"), ("dense", "dense")]
    model = tm.Recurrent(stacked)
    with tm.Recorder(model) as recorder:
        model(torch.randn(6, B, 4))
    for layer, dense in ((0, [1, 3, 5]), (1, [2, 5])):
        usage = recorder[f"state.layers.{layer}.memory.memory"]
        before = torch.cat([torch.zeros_like(usage[:1]), usage[:-1]])
        assert [t for t in range(6) if not torch.equal(usage[t], before[t])] == dense
    with tm.Recorder(model) as recorder:
        model(torch.randn(2, B, 4), schedule=["hold", "hold"])
    assert not recorder["state.layers.0.memory.memory"].any(), "a single kind is for all layers"


class Penalised(ElmanCell):
    def penalties(self, state):
        return {"energy": state.h.square().sum(-1)}


def test_penalties_carry_the_layers_number() -> None:
    stacked = tm.Stacked([Penalised(4, 4), ElmanCell(4, 4), Penalised(4, 4)])
    _, state = stacked(torch.randn(B, 4), stacked.initial_state(B))
    penalties = stacked.penalties(state)
    assert list(penalties) == ["0.energy", "2.energy"]
    torch.testing.assert_close(penalties["2.energy"], state.layers[2].h.square().sum(-1))


@pytest.mark.parametrize(
    ("cells", "dropout", "message"),
    [
        ([], 0.0, "cells must hold at least one cell"),
        ([(4, 6), (6, 5), (4, 2)], 0.0, r"cells\[2\] is shown 5 features, but takes 4: .*input_size=5"),
        ([(4, 6), (6, 5)], 1.0, r"dropout must be in \[0, 1\), got 1\.0"),
        ([(4, 6), (6, 5)], -0.1, r"dropout must be in \[0, 1\), got -0\.1"),
    ],
)
def test_what_does_not_fit_is_refused(cells: list[tuple[int, int]], dropout: float, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        tm.Stacked([LSTMCell(*sizes) for sizes in cells], dropout=dropout)
