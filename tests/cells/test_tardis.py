"""The LSTM of TARDIS by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from torchmann.cells import TARDISCell, TARDISNoise, TARDISState
from torchmann.core import OptionError, draw_noise

B, X, D, H = 2, 3, 2, 4


def cell(**options: Any) -> TARDISCell:
    made = TARDISCell(X + D, H, **{"read_size": D, "dtype": torch.float64} | options)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return made


def by_hand(made: TARDISCell, seen: Tensor, state: TARDISState, noise: Tensor | float) -> tuple[Tensor, Tensor]:
    """The equations of the docstring."""
    x, r = seen[:, : X + D - made.read_size], seen[:, X + D - made.read_size :]
    everything = torch.cat([x, r, state.h], -1)
    scale = ((everything @ made.weight_scale.T + made.bias_scale + noise) / made.temperature).sigmoid()
    alpha, beta = scale[:, :1], scale[:, 1:] if made.read_size else 0.0
    i, f, o = (everything @ made.weight.T + made.bias).chunk(3, -1)
    p_i, p_f, p_o = made.peephole if made.peephole is not None else (0.0, 0.0, 0.0)
    g = (torch.cat([x, beta * r, alpha * state.h], -1) @ made.weight_candidate.T + made.bias_candidate).tanh()
    c = (f + p_f * state.c).sigmoid() * state.c + (i + p_i * state.c).sigmoid() * g
    return (o + p_o * c).sigmoid() * c.tanh(), c


@pytest.mark.parametrize("options", [{}, {"peepholes": True}, {"temperature": 2.0}, {"read_size": 0}], ids=str)
def test_step_by_hand(options: dict[str, Any]) -> None:
    made = cell(**options)
    state = TARDISState(torch.randn(B, H).double(), torch.randn(B, H).double())
    steps = 2 * torch.randn(4, B, X + D).double()
    noise = draw_noise(made.noise_spec(B), 4, generator=None, like=steps).gates
    assert noise.shape == (4, B, 2 if made.read_size else 1)
    for t, seen in enumerate(steps):
        drawn = noise[t] if t % 2 else None
        h, c = by_hand(made, seen, state, 0.0 if drawn is None else drawn)
        output, state = made(seen, state, None if drawn is None else TARDISNoise(drawn))
        torch.testing.assert_close((output, state.h, state.c), (h, h, c))


def test_where_the_parameters_start() -> None:
    made = TARDISCell(X + D, H, read_size=D, peepholes=True, forget_bias=2.0)
    for block in (*made.weight.chunk(3), made.weight_scale, made.weight_candidate):
        torch.testing.assert_close(block @ block.T, torch.eye(len(block)))
    assert made.bias.tolist() == [0] * H + [2] * H + [0] * H
    assert not any(bias.any() for bias in (made.bias_scale, made.bias_candidate, made.peephole))
    assert TARDISCell(X + D, H, read_size=D).peephole is None


def test_starts_and_accessors() -> None:
    made = cell(initial="tanh")
    state = made.initial_state(3)
    torch.testing.assert_close(state.h, made.initial_h.weight.tanh().expand(3, H))
    torch.testing.assert_close(state.c, made.initial_c.weight.tanh().expand(3, H))
    assert made.hidden(state) is state.h and list(made.features(state)) == ["h", "c"]
    assert made.feature_sizes == {"h": H, "c": H}
    changed = made.with_hidden(state, torch.ones(3, H))
    assert changed.h.all() and changed.c is state.c


def test_bad_options_are_refused() -> None:
    with pytest.raises(OptionError, match=r"temperature must be positive, got 0"):
        cell(temperature=0.0)
    with pytest.raises(OptionError, match=r"read_size must be from 0 to 4, got 5"):
        cell(read_size=5)
