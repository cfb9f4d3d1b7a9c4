"""ARMIN's cell by hand, option by option."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import torchmann as tm
from torchmann.cells import ARMINCell, ARMINState
from torchmann.core import OptionError

B, X, D, H = 2, 3, 2, 4


def cell(**options: Any) -> ARMINCell:
    made = ARMINCell(X + D, H, **{"read_size": D, "dtype": torch.float64} | options)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return made


def layer_norm(part: Tensor, gain: Tensor, shift: Tensor) -> Tensor:
    centred = part - part.mean(-1, keepdim=True)
    return gain * centred / (centred.square().mean(-1, keepdim=True) + 1e-3).sqrt() + shift


def by_hand(made: ARMINCell, x: Tensor, r: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """Equations 3 to 8, gate by gate."""
    widths = {"g^h": H, "g^r": r.shape[1], "i": H, "f": H, "g": H, "o^h": H, "o^r": made.output_size - H, "h": H}
    first, pieces = 0, {}
    for name, width in widths.items():
        pieces[name], first = slice(first, first + width), first + width

    def normed(name: str, value: Tensor) -> Tensor:
        if not made.layer_norm:
            return value
        return layer_norm(value, made.gain[pieces[name]], made.shift[pieces[name]])

    def gate(name: str, weight: Tensor, bias: Tensor, offset: int, seen: Tensor) -> Tensor:
        rows = slice(pieces[name].start - offset, pieces[name].stop - offset)
        return normed(name, seen @ weight[rows].T + bias[rows])

    before = torch.cat([x, r, h], -1)
    g_h, g_r = (gate(name, made.weight_ig, made.bias_ig, 0, before).sigmoid() for name in ("g^h", "g^r"))
    after, offset = torch.cat([x, g_r * r, g_h * h], -1), pieces["i"].start
    i, f, g, o_h = (gate(n, made.weight_go, made.bias_go, offset, after) for n in ("i", "f", "g", "o^h"))
    new = normed("h", f.sigmoid() * h + i.sigmoid() * g.tanh())
    output = o_h.sigmoid() * new.tanh()
    if made.output_reads:
        o_r = gate("o^r", made.weight_go, made.bias_go, offset, after)
        output = torch.cat([output, o_r.sigmoid() * (r.tanh() if made.squash_reads else r)], -1)
    return output, new.tanh() if made.squash_state else new


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"layer_norm": True},
        {"squash_state": True, "squash_reads": False},
        {"squash_state": True, "layer_norm": True},
        {"output_reads": False},
    ],
    ids=str,
)
def test_step_by_hand(options: dict[str, Any]) -> None:
    made, state = cell(**options), ARMINState(torch.randn(B, H).double())
    for seen in 2 * torch.randn(3, B, X + D).double():
        expected, new = by_hand(made, seen[:, :X], seen[:, X:], state.h)
        output, state = made(seen, state)
        assert output.shape == (B, made.output_size) == expected.shape
        torch.testing.assert_close(output, expected)
        torch.testing.assert_close(state.h, new)


def test_without_reads_it_is_a_cell_like_any_other() -> None:
    made = cell(read_size=0)
    assert made.output_size == H
    state = ARMINState(torch.randn(B, H).double())
    seen = torch.randn(B, X + D).double()
    expected, new = by_hand(made, seen, seen[:, :0], state.h)
    output, state = made(seen, state)
    torch.testing.assert_close((output, state.h), (expected, new))
    assert tm.Recurrent(ARMINCell(3, 4, read_size=0, layer_norm=True))(torch.randn(5, 2, 3))[0].shape == (5, 2, 4)


@pytest.mark.parametrize("layer_norm", [False, True])
def test_where_the_parameters_start(layer_norm: bool) -> None:
    made = ARMINCell(X + D, H, read_size=D, layer_norm=layer_norm, forget_bias=2.0)
    seen = X + D + H
    for weight, sizes in ((made.weight_ig, [H, D]), (made.weight_go, [H, H, H, H, D])):
        for block in weight.split(sizes):
            assert block.shape[1] == seen
            torch.testing.assert_close(block @ block.T, torch.eye(len(block)), msg="orthogonal, gate by gate")
    forget = made.shift[H + D + H : H + D + 2 * H] if layer_norm else made.bias_go[H : 2 * H]
    assert (forget == 2).all()
    biases = [made.bias_ig, made.bias_go] + ([made.shift] if layer_norm else [])
    assert sum(bias.count_nonzero() for bias in biases) == H


def test_count_of_the_layer_norm() -> None:
    plain, normed = (ARMINCell(9, 4, read_size=4, layer_norm=on) for on in (False, True))
    count = [sum(parameter.numel() for parameter in made.parameters()) for made in (plain, normed)]
    assert count[1] - count[0] == 16 * 4, "gain and shift on eight groups of units"


def test_starts_and_accessors() -> None:
    assert not cell().initial_state(3).h.any()
    learned = cell(initial="tanh")
    torch.testing.assert_close(learned.initial_state(3).h, learned.initial_h.weight.tanh().expand(3, H))
    state = ARMINState(torch.randn(B, H))
    assert learned.hidden(state) is state.h and learned.features(state) == {"h": state.h}
    assert learned.feature_sizes == {"h": H} and learned.output_size == H + D
    hidden = torch.zeros(B, H)
    assert learned.with_hidden(state, hidden).h is hidden


@pytest.mark.parametrize("read_size", [-1, 5, 6])
def test_reads_must_leave_some_input(read_size: int) -> None:
    with pytest.raises(OptionError, match=f"read_size must be from 0 to 4, got {read_size}: build the cell with input"):
        ARMINCell(5, 4, read_size=read_size)
