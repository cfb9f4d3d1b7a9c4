"""Zoneout around any controller: what it does to the state, to the output, in training and in evaluation."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import torchmann as tm
from torchmann.cells import ARMINCell, GRUCell, LayerNormLSTMCell, LSTMCell, LSTMState, TARDISCell, Zoneout
from torchmann.core import OptionError, draw_noise, map_leaves, named_leaves

B, X, H = 4, 3, 5
KEEP = {"h": 0.9, "c": 0.5}


def first(noise: Any) -> Any:
    return map_leaves(lambda leaf: leaf[0], noise)


def test_units_of_an_lstm_are_new_or_stay() -> None:
    inner = LSTMCell(X, H)
    cell, x = Zoneout(inner, KEEP), torch.randn(B, X)
    state = LSTMState(torch.randn(B, H), torch.randn(B, H))
    noise = first(draw_noise(cell.noise_spec(B), 1, generator=None, like=x))
    assert noise.controller is None and noise.kept.h.shape == noise.kept.c.shape == (B, H)
    _, new = inner(x, state)
    output, zoned = cell(x, state, noise)
    for name in ("h", "c"):
        kept, old, made = (getattr(part, name) for part in (noise.kept, state, new))
        assert torch.equal(getattr(zoned, name), torch.where(kept.bool(), made, old))
    assert output is zoned.h, "the new h comes from the c that is not zoned; the output is the zoned h"


def test_evaluation_takes_the_mean_of_the_mask() -> None:
    inner = LayerNormLSTMCell(X, H)
    cell, x = Zoneout(inner, KEEP), torch.randn(B, X)
    state = LSTMState(torch.randn(B, H), torch.randn(B, H))
    _, new = inner(x, state)
    output, zoned = cell(x, state)
    torch.testing.assert_close(zoned.h, 0.9 * new.h + 0.1 * state.h)
    torch.testing.assert_close(zoned.c, 0.5 * new.c + 0.5 * state.c)
    torch.testing.assert_close(output, zoned.h)


def test_mean_over_masks_is_the_evaluation() -> None:
    cell = Zoneout(GRUCell(X, H), 0.7)
    x, state = torch.randn(1, X).expand(20_000, X), cell.initial_state(20_000)._replace(h=torch.ones(20_000, H))
    noise = first(draw_noise(cell.noise_spec(20_000), 1, generator=torch.Generator().manual_seed(0), like=x))
    torch.testing.assert_close(cell(x, state, noise)[1].h.mean(0), cell(x, state)[1].h[0], atol=0.01, rtol=0)


def test_output_of_armin_is_made_before() -> None:
    inner = ARMINCell(X + 2, H, read_size=2)
    cell, x = Zoneout(inner, 0.8, output="new"), torch.randn(B, X + 2)
    state = inner.initial_state(B)._replace(h=torch.randn(B, H))
    for noise in (None, first(draw_noise(cell.noise_spec(B), 1, generator=None, like=x))):
        expected, new = inner(x, state)
        output, zoned = cell(x, state, noise)
        assert torch.equal(output, expected) and cell.output_size == H + 2
        mask = 0.8 if noise is None else noise.kept.h
        torch.testing.assert_close(zoned.h, mask * new.h + (1 - mask) * state.h)


def test_noise_of_the_controller_goes_through() -> None:
    inner = TARDISCell(X + 2, H, read_size=2)
    cell, x = Zoneout(inner, 0.8), torch.randn(B, X + 2)
    noise = first(draw_noise(cell.noise_spec(B), 1, generator=None, like=x))
    state = inner.initial_state(B)
    _, new = inner(x, state, noise.controller)
    _, zoned = cell(x, state, noise._replace(kept=map_leaves(torch.ones_like, noise.kept)))
    assert torch.equal(zoned.h, new.h) and torch.equal(zoned.c, new.c)


@pytest.mark.parametrize("keep", [1.0, {"c": 1.0}, {}])
def test_keeping_all_changes_nothing(keep: Any) -> None:
    inner, x = LSTMCell(X, H), torch.randn(6, B, X)
    plain, zoned = tm.Recurrent(inner), tm.Recurrent(Zoneout(inner, keep))
    assert not list(named_leaves(zoned.cell.noise_spec(B)))
    torch.testing.assert_close(zoned(x), plain(x))


def test_parts_that_are_not_named_are_new() -> None:
    cell = Zoneout(tm.Stacked([LSTMCell(X, H), GRUCell(H, H)]), {"layers.0.c": 0.5})
    drawn = map_leaves(lambda part: part, cell.noise_spec(B).kept.layers[0])
    assert drawn.h is None and drawn.c.probability == 0.5
    state = cell.initial_state(B)
    _, new = cell.controller(torch.ones(B, X), state)
    _, zoned = cell(torch.ones(B, X), state)
    assert torch.equal(zoned.layers[1].h, new.layers[1].h) and torch.equal(zoned.layers[0].h, new.layers[0].h)
    torch.testing.assert_close(zoned.layers[0].c, new.layers[0].c / 2)


def test_accessors_are_the_controllers() -> None:
    cell = Zoneout(LSTMCell(X, H), 0.5)
    state = LSTMState(torch.randn(B, H), torch.randn(B, H))
    assert cell.hidden(state) is state.h and cell.feature_sizes == {"h": H, "c": H} and cell.recurrent
    assert cell.with_hidden(state, state.c).h is state.c and cell.features(state)["c"] is state.c
    assert cell.penalties(state) == {}


def test_as_the_controller_of_a_memory() -> None:
    def run(train: bool) -> Tensor:
        torch.manual_seed(3)
        cell = tm.MemoryAugmentedCell(Zoneout(LSTMCell(X + 4, H), KEEP), tm.memories.NTMMemory(6, 4))
        return tm.Recurrent(cell).train(train)(torch.randn(5, B, X), generator=torch.Generator().manual_seed(0))[0]

    assert torch.equal(run(True), run(True)) and not torch.allclose(run(True), run(False))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep": 0.0}, r"keep must be in \(0, 1\], got 0.0 for 'h'; 1 is no zoneout"),
        ({"keep": {"c": 1.5}}, r"keep must be in \(0, 1\], got 1.5 for 'c'"),
        ({"keep": {"x": 0.5}}, r"unknown part of the state to keep 'x': Known: c, h"),
        ({"keep": 0.5, "output": "old"}, r"unknown output 'old'.*Known: new, zoned"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Zoneout(LSTMCell(X, H), **options)


def test_zoned_output_needs_a_controller_that_gives_its_hidden_vector() -> None:
    with pytest.raises(OptionError, match=r"ARMINCell does not give its hidden vector.*use output='new'"):
        Zoneout(ARMINCell(5, 4, read_size=2), 0.5)
