"""The four plain recurrent cells, each step beside its backward, and a whole sequence of them.

Shapes: T time, B batch, I input, H hidden, G pre-activations. ``z_x`` and ``z_h`` are what comes from the input and
from h, ``d_x`` is the gradient of x. A backward takes the gradients of the new state and gives those of ``z_x``, of
``z_h`` and of the state before, as far as it does not go through ``z_h``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from torchmann.cells import ElmanCell, GRUCell, LayerNormLSTMCell, LSTMCell
from torchmann.engines.kernels.manual import lstm_backward

Kept = tuple[Tensor, ...]
State = tuple[Tensor, ...]


def limited(value: Tensor, clip: float | None) -> Tensor:
    """The value between ±clip."""
    return value if clip is None else value.clamp(-clip, clip)


def limited_backward(d_value: Tensor, value: Tensor, clip: float | None) -> Tensor:
    """What was cut off has no gradient."""
    return d_value if clip is None else d_value * (value.abs() <= clip)


def normalise(x_BH: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """``x_hat = (x - mean) / deviation``, and the inverse deviation ``[B, 1]``."""
    inverse_B1 = (x_BH.var(-1, unbiased=False, keepdim=True) + epsilon).rsqrt()
    return (x_BH - x_BH.mean(-1, keepdim=True)) * inverse_B1, inverse_B1


def normalise_backward(d_hat_BH: Tensor, hat_BH: Tensor, inverse_B1: Tensor) -> Tensor:
    """The gradient of x from that of x_hat."""
    along_B1 = (d_hat_BH * hat_BH).mean(-1, keepdim=True)
    return inverse_B1 * (d_hat_BH - d_hat_BH.mean(-1, keepdim=True) - hat_BH * along_B1)


def lstm(cell: Any, z_x: Tensor, z_h: Tensor, state: State) -> tuple[State, Kept]:
    """``c = f c' + i g``, ``h = o tanh(c)``."""
    i, f, g, o = (z_x + z_h).chunk(4, -1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    c = f * state[1] + i * g
    return (limited(o * c.tanh(), cell.clip), limited(c, cell.clip)), (i, f, g, o, state[1], c)


def lstm_step_backward(cell: Any, kept: Kept, d_state: State, d_norms: Kept) -> tuple[Tensor, Tensor, State]:
    """With the limits."""
    *gates, before, c = kept
    d_h, d_c = limited_backward(d_state[0], gates[3] * c.tanh(), cell.clip), limited_backward(d_state[1], c, cell.clip)
    d_z, d_before = lstm_backward(tuple(gates), before, c, d_h, d_c)
    return d_z, d_z, (torch.zeros_like(d_h), d_before)


def layer_norm_lstm(cell: Any, z_x: Tensor, z_h: Tensor, state: State) -> tuple[State, Kept]:
    """The four gates and c normalised, each by itself."""
    hats, inverses = zip(*(normalise(z, cell.epsilon) for z in (z_x + z_h).chunk(4, -1)), strict=True)
    i, f, g, o = (hat * gain + shift for hat, gain, shift in zip(hats, cell.gain[:4], cell.shift[:4], strict=True))
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    c = f * state[1] + i * g
    c_hat, c_inverse = normalise(c, cell.epsilon)
    y = c_hat * cell.gain[4] + cell.shift[4]
    carried = c if cell.carry == "raw" else y
    after = limited(o * y.tanh(), cell.clip), limited(carried, cell.clip)
    return after, (i, f, g, o, state[1], y, carried, *hats, c_hat, *inverses, c_inverse)


def layer_norm_lstm_backward(cell: Any, kept: Kept, d_state: State, d_norms: Kept) -> tuple[Tensor, Tensor, State]:
    """Adds the gradients of the gains and shifts to `d_norms`."""
    i, f, g, o, before, y, carried, *rest = kept
    hats, inverses = rest[:5], rest[5:]

    def through(row: int, d_y: Tensor) -> Tensor:
        d_norms[0][row] += (d_y * hats[row]).sum(0)
        d_norms[1][row] += d_y.sum(0)
        return normalise_backward(d_y * cell.gain[row], hats[row], inverses[row])

    d_h, d_c = limited_backward(d_state[0], o * y.tanh(), cell.clip), limited_backward(d_state[1], carried, cell.clip)
    d_y = d_h * o * (1 - y.tanh().square())
    d_c = through(4, d_y) + d_c if cell.carry == "raw" else through(4, d_y + d_c)
    d_gates = (
        d_c * g * i * (1 - i),
        d_c * before * f * (1 - f),
        d_c * i * (1 - g.square()),
        d_h * y.tanh() * o * (1 - o),
    )
    d_z = torch.cat([through(row, d_gate) for row, d_gate in enumerate(d_gates)], -1)
    return d_z, d_z, (torch.zeros_like(d_h), d_c * f)


def gru(cell: Any, z_x: Tensor, z_h: Tensor, state: State) -> tuple[State, Kept]:
    """``n = tanh(n_x + r n_h)``, ``h = (1 - z) n + z h'``."""
    (r_x, z_x, n_x), (r_h, z_h, n_h) = z_x.chunk(3, -1), z_h.chunk(3, -1)
    r, z = (r_x + r_h).sigmoid(), (z_x + z_h).sigmoid()
    n = (n_x + r * n_h).tanh()
    return ((1 - z) * n + z * state[0],), (r, z, n, n_h, state[0])


def gru_backward(cell: Any, kept: Kept, d_state: State, d_norms: Kept) -> tuple[Tensor, Tensor, State]:
    """The candidate sees the input's part as it is, and that of h through r."""
    r, z, n, n_h, before = kept
    d_n = d_state[0] * (1 - z) * (1 - n.square())
    d_r, d_z = d_n * n_h * r * (1 - r), d_state[0] * (before - n) * z * (1 - z)
    return torch.cat([d_r, d_z, d_n], -1), torch.cat([d_r, d_z, d_n * r], -1), (d_state[0] * z,)


def elman(cell: Any, z_x: Tensor, z_h: Tensor, state: State) -> tuple[State, Kept]:
    """tanh or ReLU of the sum."""
    h = (z_x + z_h).relu() if cell.nonlinearity == "relu" else (z_x + z_h).tanh()
    return (h,), (h,)


def elman_backward(cell: Any, kept: Kept, d_state: State, d_norms: Kept) -> tuple[Tensor, Tensor, State]:
    """From the value that it gave."""
    slope = (kept[0] > 0) if cell.nonlinearity == "relu" else 1 - kept[0].square()
    d_z = d_state[0] * slope
    return d_z, d_z, (torch.zeros_like(d_z),)


STEPS: dict[type, tuple[Callable[..., tuple[State, Kept]], Callable[..., tuple[Tensor, Tensor, State]]]] = {
    LSTMCell: (lstm, lstm_step_backward),
    LayerNormLSTMCell: (layer_norm_lstm, layer_norm_lstm_backward),
    GRUCell: (gru, gru_backward),
    ElmanCell: (elman, elman_backward),
}


class Step(NamedTuple):
    """What a step keeps for its backward."""

    h_before_BH: Tensor
    inside: Kept


class Sequence:
    """A cell over a sequence from a given state: forward once, then backward."""

    def __init__(self, cell: Any) -> None:
        self.cell = cell
        self.step, self.step_backward = STEPS[type(cell)]
        self.steps: list[Step] = []

    def forward(self, inputs_TBI: Tensor, state: State) -> tuple[Tensor, State]:
        """The outputs ``[T, B, H]`` and the state after the last step."""
        self.inputs_TBI, outputs = inputs_TBI, []
        bias_ih = self.cell.bias_ih if isinstance(self.cell, GRUCell) else self.cell.bias
        bias_hh = self.cell.bias_hh if isinstance(self.cell, GRUCell) else None
        for z_x in F.linear(inputs_TBI, self.cell.weight_ih, bias_ih):
            h_before_BH = state[0]
            state, inside = self.step(self.cell, z_x, F.linear(h_before_BH, self.cell.weight_hh, bias_hh), state)
            self.steps.append(Step(h_before_BH, inside))
            outputs.append(state[0])
        return torch.stack(outputs), state

    def backward(self, d_outputs_TBH: Tensor, d_state: State) -> tuple[Tensor, dict[str, Tensor], State]:
        """From the gradients of both to those of the inputs, the weights by name, and the state before."""
        d_zs_x, d_zs_h = [], []
        norms = getattr(self.cell, "gain", None), getattr(self.cell, "shift", None)
        d_norms = tuple(torch.zeros_like(norm) for norm in norms if norm is not None)
        for step, d_output_BH in zip(self.steps[::-1], d_outputs_TBH.flip(0), strict=True):
            d_new = (d_state[0] + d_output_BH, *d_state[1:])
            d_z_x, d_z_h, (d_h_BH, *d_rest) = self.step_backward(self.cell, step.inside, d_new, d_norms)
            d_state = (d_h_BH + d_z_h @ self.cell.weight_hh, *d_rest)
            d_zs_x.append(d_z_x)
            d_zs_h.append(d_z_h)
        d_z_x_TBG, d_z_h_TBG = torch.stack(d_zs_x[::-1]), torch.stack(d_zs_h[::-1])
        h_TBH = torch.stack([step.h_before_BH for step in self.steps])
        # the weights are the same at each step, so their gradients are one product over all steps and rows
        d_weights = {
            "weight_ih": d_z_x_TBG.flatten(0, 1).mT @ self.inputs_TBI.flatten(0, 1),
            "weight_hh": d_z_h_TBG.flatten(0, 1).mT @ h_TBH.flatten(0, 1),
            "bias" if not isinstance(self.cell, GRUCell) else "bias_ih": d_z_x_TBG.sum((0, 1)),
            "bias_hh": d_z_h_TBG.sum((0, 1)),
            **dict(zip(("gain", "shift"), d_norms, strict=False)),
        }
        return d_z_x_TBG @ self.cell.weight_ih, d_weights, d_state
