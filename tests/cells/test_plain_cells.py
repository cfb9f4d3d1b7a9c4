"""Elman, GRU and feed-forward cells by hand."""

from __future__ import annotations

import pytest
import torch

from torchmann.cells import ElmanCell, FeedForwardCell, GRUCell
from torchmann.core import OptionError

B, INPUT, H = 3, 4, 5
x, h0 = torch.randn(2, B, 5, generator=torch.Generator().manual_seed(1)).unbind()
x = x[:, :INPUT]


@pytest.mark.parametrize(("name", "activation"), [("tanh", torch.tanh), ("relu", torch.relu)])
def test_elman_by_hand(name: str, activation) -> None:
    cell = ElmanCell(INPUT, H, nonlinearity=name)
    torch.nn.init.normal_(cell.bias)
    output, state = cell(x, cell.initial_state(B)._replace(h=h0))
    expected = activation(x @ cell.weight_ih.T + h0 @ cell.weight_hh.T + cell.bias)
    torch.testing.assert_close((output, state.h), (expected, expected))


@pytest.mark.parametrize("reset_after", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_gru_by_hand(reset_after: bool, bias: bool) -> None:
    cell = GRUCell(INPUT, H, reset_after=reset_after, bias=bias)
    zero = torch.zeros(3 * H)
    b_ih, b_hh = (zero if b is None else torch.nn.init.normal_(b) for b in (cell.bias_ih, cell.bias_hh))
    assert (cell.bias_hh is None) == (not (bias and reset_after)), "before the product one bias says it all"
    w_ir, w_iz, w_in = cell.weight_ih.chunk(3)
    w_hr, w_hz, w_hn = cell.weight_hh.chunk(3)
    b_ir, b_iz, b_in = b_ih.chunk(3)
    b_hr, b_hz, b_hn = b_hh.chunk(3)
    r = (x @ w_ir.T + b_ir + h0 @ w_hr.T + b_hr).sigmoid()
    z = (x @ w_iz.T + b_iz + h0 @ w_hz.T + b_hz).sigmoid()
    recurrent = r * (h0 @ w_hn.T + b_hn) if reset_after else (r * h0) @ w_hn.T
    expected = (1 - z) * (x @ w_in.T + b_in + recurrent).tanh() + z * h0
    output, state = cell(x, cell.initial_state(B)._replace(h=h0))
    torch.testing.assert_close((output, state.h), (expected, expected))


@pytest.mark.parametrize("activation", ["relu", "tanh", "none"])
def test_feedforward_forgets(activation: str) -> None:
    cell = FeedForwardCell(INPUT, H, activation=activation)
    output, state = cell(x, cell.initial_state(B))
    again, _ = cell(x, cell.with_hidden(state, h0))
    expected = x @ cell.linear.weight.T + cell.linear.bias
    expected = expected if activation == "none" else getattr(torch, activation)(expected)
    torch.testing.assert_close(output, expected)
    assert torch.equal(output, again) and torch.equal(cell.hidden(state), output)


@pytest.mark.parametrize("cell", [ElmanCell, GRUCell])
def test_learned_start_is_a_parameter(cell) -> None:
    learned = cell(INPUT, H, initial="learned")
    torch.nn.init.normal_(learned.initial_h.weight)
    torch.testing.assert_close(learned.initial_state(B).h, learned.initial_h.weight.expand(B, H))
    assert not cell(INPUT, H).initial_state(B).h.any()


def test_unknown_names_are_refused() -> None:
    with pytest.raises(OptionError, match="unknown nonlinearity 'than': did you mean 'tanh'"):
        ElmanCell(INPUT, H, nonlinearity="than")
    with pytest.raises(OptionError, match="unknown activation 'rlu': did you mean 'relu'"):
        FeedForwardCell(INPUT, H, activation="rlu")
