"""Long short-term memory, plain and with layer normalisation.

Shapes: B batch, I input, H hidden. Gate order: input, forget, candidate, output, as in `torch.nn.LSTM`.
Sources: Hochreiter & Schmidhuber 1997, Gers et al. 2000; Ba et al. 2016 for layer normalisation.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from torchmann.core.cell import Controller
from torchmann.core.errors import OptionError, require_positive, unknown_name
from torchmann.core.initialisers import orthogonal_per_gate_, xavier_per_gate_
from torchmann.core.start import Start, StartKind
from torchmann.core.state import state


@state
class LSTMState(NamedTuple):
    """What an LSTM carries."""

    h: Tensor  # [B, H]
    c: Tensor  # [B, H]


class LSTMCell(Controller):
    """Input gate i, forget gate f, candidate g, output gate o; the output is h::

        [i, f, g, o] = [sigma, sigma, tanh, sigma](W_ih x + W_hh h + b)
        c = f * c + i * g
        h = o * tanh(c)

    Args:
        input_size: I.
        hidden_size: H.
        bias: add b.
        forget_bias: where the forget gate's part of b starts.
        clip: limit h and c to ±clip after the step (h is made of the c that is not yet clipped); None: no limit.
        initial: where h and c start: ``"constant"`` zeros, ``"learned"``, ``"tanh"`` of learned vectors.
    """

    references: tuple[str, ...] = ("lstm",)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        bias: bool = True,
        forget_bias: float = 1.0,
        clip: float | None = None,
        initial: StartKind = "constant",
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        require_positive(input_size=input_size, hidden_size=hidden_size)
        if clip is not None and clip <= 0:
            raise OptionError(f"clip must be positive or None, got {clip}.")
        at: dict[str, Any] = {"device": device, "dtype": dtype}
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        self.forget_bias, self.clip = forget_bias, clip
        self.weight_ih = nn.Parameter(torch.empty(4 * hidden_size, input_size, **at))
        self.weight_hh = nn.Parameter(torch.empty(4 * hidden_size, hidden_size, **at))
        self.bias = nn.Parameter(torch.empty(4 * hidden_size, **at)) if bias else None
        self.initial_h = Start((hidden_size,), initial, **at)
        self.initial_c = Start((hidden_size,), initial, **at)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Per gate: Xavier from the input, orthogonal from the state; biases zero, the forget gate's `forget_bias`."""
        xavier_per_gate_(self.weight_ih, 4)
        orthogonal_per_gate_(self.weight_hh, 4)
        if self.bias is not None:
            with torch.no_grad():
                self.bias.zero_()
                self.bias.chunk(4)[1].fill_(self.forget_bias)

    def initial_state(self, batch_size: int) -> LSTMState:
        """h and c as `initial` says."""
        return LSTMState(self.initial_h(batch_size), self.initial_c(batch_size))

    def gates(self, x: Tensor, h: Tensor) -> tuple[Tensor, ...]:
        """The four pre-activations, each ``[B, H]``."""
        return torch.addmm(F.linear(x, self.weight_ih, self.bias), h, self.weight_hh.t()).chunk(4, -1)

    def forward(self, x: Tensor, state: LSTMState, noise: None = None) -> tuple[Tensor, LSTMState]:
        """One step."""
        i, f, g, o = self.gates(x, state.h)
        c = f.sigmoid() * state.c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        if self.clip is not None:
            h, c = h.clamp(-self.clip, self.clip), c.clamp(-self.clip, self.clip)
        return h, LSTMState(h, c)

    def hidden(self, state: LSTMState) -> Tensor:
        """h."""
        return state.h

    def with_hidden(self, state: LSTMState, hidden: Tensor) -> LSTMState:
        """h replaced, c kept."""
        return state._replace(h=hidden)

    def features(self, state: LSTMState) -> dict[str, Tensor]:
        """h and c."""
        return {"h": state.h, "c": state.c}

    @property
    def feature_sizes(self) -> dict[str, int]:
        """H each."""
        return {"h": self.hidden_size, "c": self.hidden_size}


class LayerNormLSTMCell(LSTMCell):
    """An LSTM whose four gates and cell are layer-normalised, each by itself, with gain and shift::

        [i, f, g, o] = [sigma, sigma, tanh, sigma](LN(W_ih x + W_hh h + b))
        c = f * c + i * g
        h = o * tanh(LN(c))

    Args:
        input_size: I.
        hidden_size: H.
        bias: add b before the normalisation.
        forget_bias: where the shift of the forget gate's normalisation starts.
        carry: ``"raw"``: the next step gets c; ``"normalised"``: it gets LN(c) (released UW code, which has no bias b
            either and an epsilon of 1e-12).
        epsilon: inside the root of the normalisation.
        clip: limit h and c to ±clip after the step; None: no limit.
        initial: where h and c start.
    """

    references = ("lstm", "layer_norm")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        bias: bool = True,
        forget_bias: float = 1.0,
        carry: Literal["raw", "normalised"] = "raw",
        epsilon: float = 1e-3,
        clip: float | None = None,
        initial: StartKind = "constant",
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        at: dict[str, Any] = {"device": device, "dtype": dtype}
        super().__init__(input_size, hidden_size, bias=bias, forget_bias=0.0, clip=clip, initial=initial, **at)
        if carry not in ("raw", "normalised"):
            raise unknown_name("carry", carry, ("raw", "normalised"))
        self.carry, self.epsilon = carry, epsilon
        self.gain = nn.Parameter(torch.ones(5, hidden_size, **at))  # rows: i, f, g, o, c
        self.shift = nn.Parameter(torch.zeros(5, hidden_size, **at))
        with torch.no_grad():
            self.shift[1].fill_(forget_bias)

    def normalised(self, value: Tensor, row: int) -> Tensor:
        """Layer normalisation of ``value [B, H]`` with the gain and shift of `row`."""
        return F.layer_norm(value, (self.hidden_size,), self.gain[row], self.shift[row], self.epsilon)

    def forward(self, x: Tensor, state: LSTMState, noise: None = None) -> tuple[Tensor, LSTMState]:
        """One step."""
        i, f, g, o = (self.normalised(gate, row) for row, gate in enumerate(self.gates(x, state.h)))
        c = f.sigmoid() * state.c + i.sigmoid() * g.tanh()
        c_normalised = self.normalised(c, 4)
        h = (o.sigmoid() * c_normalised.tanh()).type_as(state.h)
        c = (c if self.carry == "raw" else c_normalised).type_as(state.c)
        if self.clip is not None:
            h, c = h.clamp(-self.clip, self.clip), c.clamp(-self.clip, self.clip)
        return h, LSTMState(h, c)
