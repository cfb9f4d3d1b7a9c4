"""LSTM cells by hand: clip, forget bias, and layer normalisation with both ways to carry the cell."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from torchmann.cells import LayerNormLSTMCell, LSTMCell
from torchmann.cells.lstm import LSTMState
from torchmann.core import OptionError

B, INPUT, H = 3, 4, 5


def random_state() -> LSTMState:
    return LSTMState(torch.randn(B, H), torch.randn(B, H))


def test_step_by_hand() -> None:
    cell, x, state = LSTMCell(INPUT, H), torch.randn(B, INPUT), random_state()
    torch.nn.init.normal_(cell.bias)
    total = x @ cell.weight_ih.T + state.h @ cell.weight_hh.T + cell.bias
    i, f, g, o = total[:, :H], total[:, H : 2 * H], total[:, 2 * H : 3 * H], total[:, 3 * H :]
    c = f.sigmoid() * state.c + i.sigmoid() * g.tanh()
    h = o.sigmoid() * c.tanh()
    output, after = cell(x, state)
    torch.testing.assert_close((output, after.h, after.c), (h, h, c))


def test_clip_limits_the_state_but_h_is_made_of_the_free_cell() -> None:
    free, clipped = LSTMCell(INPUT, H), LSTMCell(INPUT, H, clip=0.3)
    clipped.load_state_dict(free.state_dict())
    x, state = 3 * torch.randn(B, INPUT), random_state()
    output, after = free(x, state)
    clipped_output, clipped_after = clipped(x, state)
    assert after.c.abs().max() > 0.3 and output.abs().max() > 0.3
    torch.testing.assert_close(clipped_after.c, after.c.clamp(-0.3, 0.3))
    torch.testing.assert_close(clipped_output, output.clamp(-0.3, 0.3))
    assert torch.equal(clipped_output, clipped_after.h)


def test_forget_bias_is_where_that_gate_starts() -> None:
    assert LSTMCell(INPUT, H).bias.view(4, H).tolist() == [[0] * H, [1] * H, [0] * H, [0] * H]
    assert LSTMCell(INPUT, H, forget_bias=2.5).bias.view(4, H)[1].tolist() == [2.5] * H
    assert LSTMCell(INPUT, H, bias=False).bias is None
    shift = LayerNormLSTMCell(INPUT, H, forget_bias=2.5).shift
    assert shift[1].tolist() == [2.5] * H and not shift[[0, 2, 3, 4]].any()


def test_weights_start_orthogonal_from_the_state_and_xavier_from_the_input() -> None:
    cell = LSTMCell(7, H)
    for block in cell.weight_hh.chunk(4):
        torch.testing.assert_close(block @ block.T, torch.eye(H), atol=1e-5, rtol=0)
    bound = (6 / (7 + H)) ** 0.5
    assert 0.8 * bound < cell.weight_ih.abs().max() <= bound


@pytest.mark.parametrize("kind", ["learned", "tanh"])
def test_start_can_be_learned(kind: Any) -> None:
    cell = LSTMCell(INPUT, H, initial=kind)
    torch.nn.init.normal_(cell.initial_c.weight)
    output, _ = cell(torch.randn(B, INPUT), cell.initial_state(B))
    output.sum().backward()
    assert cell.initial_h.weight.grad.any() and cell.initial_c.weight.grad.any()
    expected = cell.initial_c.weight.tanh() if kind == "tanh" else cell.initial_c.weight
    torch.testing.assert_close(cell.initial_state(B).c, expected.expand(B, H))


def by_hand(cell: LayerNormLSTMCell, x: Tensor, state: LSTMState) -> tuple[Tensor, Tensor, Tensor]:
    """h, c and LN(c), with the normalisation written out."""

    def normalise(value: Tensor, row: int) -> Tensor:
        centred = value - value.mean(-1, keepdim=True)
        deviation = (centred.square().mean(-1, keepdim=True) + cell.epsilon).sqrt()
        return cell.gain[row] * centred / deviation + cell.shift[row]

    total = x @ cell.weight_ih.T + state.h @ cell.weight_hh.T
    total = total if cell.bias is None else total + cell.bias
    i, f, g, o = (normalise(part, row) for row, part in enumerate(total.chunk(4, -1)))
    c = f.sigmoid() * state.c + i.sigmoid() * g.tanh()
    c_normalised = normalise(c, 4)
    return o.sigmoid() * c_normalised.tanh(), c, c_normalised


@pytest.mark.parametrize("carry", ["raw", "normalised"])
@pytest.mark.parametrize(("bias", "epsilon"), [(True, 1e-3), (False, 1e-12)])
def test_layer_norm_step_by_hand(carry: Any, bias: bool, epsilon: float) -> None:
    cell = LayerNormLSTMCell(INPUT, H, bias=bias, carry=carry, epsilon=epsilon)
    for parameter in (cell.gain, cell.shift, *([cell.bias] if bias else [])):
        torch.nn.init.normal_(parameter, mean=0.5)
    x, state = torch.randn(B, INPUT), random_state()
    h, c, c_normalised = by_hand(cell, x, state)
    output, after = cell(x, state)
    torch.testing.assert_close((output, after.h), (h, h))
    torch.testing.assert_close(after.c, c if carry == "raw" else c_normalised)


def test_layer_norm_does_not_see_the_scale_of_the_weights() -> None:
    cell, x, state = LayerNormLSTMCell(INPUT, H, epsilon=1e-12), torch.randn(B, INPUT), random_state()
    before = cell(x, state)
    with torch.no_grad():
        cell.weight_ih.mul_(7)
        cell.weight_hh.mul_(7)
    torch.testing.assert_close(cell(x, state), before, rtol=1e-3, atol=1e-4)


def test_accessors() -> None:
    for cell in (LSTMCell(INPUT, H), LayerNormLSTMCell(INPUT, H)):
        state = random_state()
        replaced = cell.with_hidden(state, torch.zeros(B, H))
        assert not replaced.h.any() and torch.equal(replaced.c, state.c)
        features = cell.features(state)
        assert torch.equal(features["h"], cell.hidden(state)) and torch.equal(features["c"], state.c)
        assert {name: value.shape[1] for name, value in features.items()} == cell.feature_sizes


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LSTMCell(0, H), "input_size must be an integer of at least 1, got 0"),
        (lambda: LSTMCell(INPUT, H, clip=0.0), r"clip must be positive or None, got 0\.0"),
        (lambda: LSTMCell(INPUT, H, initial="zeros"), "unknown kind of start 'zeros'"),
        (
            lambda: LayerNormLSTMCell(INPUT, H, carry="normalized"),
            "unknown carry 'normalized': did you mean 'normalised'",
        ),
    ],
)
def test_bad_option_is_refused_by_name(make: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        make()
