"""The LSTM of TARDIS: two gates decide how much a candidate sees of the last hidden vector and of what was read.

Shapes: B batch, I input with the reads, D reads, H hidden.
Sources: Gulcehre, Chandar, Bengio 2017, "Memory augmented neural networks with wormhole connections"; the code of the
ARMIN paper's authors.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from torchmann.cells.armin import require_input
from torchmann.core.cell import Controller
from torchmann.core.errors import OptionError, require_positive
from torchmann.core.initialisers import orthogonal_per_gate_
from torchmann.core.noise import Draw
from torchmann.core.start import Start, StartKind
from torchmann.core.state import state


@state
class TARDISState(NamedTuple):
    """What the cell carries."""

    h: Tensor  # [B, H]
    c: Tensor  # [B, H]


class TARDISNoise(NamedTuple):
    """What a step draws."""

    gates: Any  # [B, 2], Gumbel; [B, 1] without reads


class TARDISCell(Controller):
    """An LSTM that takes ``[x ; r]``, where r was read from a memory; the output is h::

        [i, f, o] = sigma(W [x, r, h] + b)
        [alpha, beta] = sigma((W' [x, r, h] + b' + Gumbel noise) / temperature)       one number each
        g = tanh(W'' [x, beta r, alpha h] + b'')
        c = f * c + i * g
        h = o * tanh(c)

    In evaluation there is no noise.

    Args:
        input_size: I, features of the input and of the reads together.
        hidden_size: H.
        read_size: D, how many of the last features of the input were read; 0: none, and no beta.
        temperature: of alpha and beta.
        peepholes: let the gates i and f see c, and o the new c, unit by unit.
        forget_bias: where the forget gate's part of b starts.
        initial: where h and c start: ``"constant"`` zeros, ``"learned"``, ``"tanh"`` of learned vectors.

    Raises:
        OptionError: a size below one, a temperature that is not positive, or reads that leave no input.
    """

    references = ("tardis", "lstm", "gumbel_softmax")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        read_size: int,
        temperature: float = 0.3,
        peepholes: bool = False,
        forget_bias: float = 1.0,
        initial: StartKind = "constant",
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        require_positive(input_size=input_size, hidden_size=hidden_size)
        require_input(input_size, read_size)
        if temperature <= 0:
            raise OptionError(f"temperature must be positive, got {temperature}.")
        at: dict[str, Any] = {"device": device, "dtype": dtype}
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        self.read_size, self.temperature = read_size, temperature
        seen = input_size + hidden_size
        self.scales = 2 if read_size else 1  # alpha, beta
        self.weight = nn.Parameter(torch.empty(3 * hidden_size, seen, **at))  # rows: i, f, o
        self.bias = nn.Parameter(torch.zeros(3 * hidden_size, **at))
        self.weight_scale = nn.Parameter(torch.empty(self.scales, seen, **at))
        self.bias_scale = nn.Parameter(torch.zeros(self.scales, **at))
        self.weight_candidate = nn.Parameter(torch.empty(hidden_size, seen, **at))
        self.bias_candidate = nn.Parameter(torch.zeros(hidden_size, **at))
        self.peephole = nn.Parameter(torch.zeros(3, hidden_size, **at)) if peepholes else None  # rows: i, f, o
        self.initial_h = Start((hidden_size,), initial, **at)
        self.initial_c = Start((hidden_size,), initial, **at)
        self.reset_parameters(forget_bias)

    def reset_parameters(self, forget_bias: float) -> None:
        """Per gate orthogonal weights; biases zero, but the forget gate's."""
        orthogonal_per_gate_(self.weight, [self.hidden_size] * 3)
        for weight in (self.weight_scale, self.weight_candidate):
            nn.init.orthogonal_(weight)
        with torch.no_grad():
            self.bias.chunk(3)[1].fill_(forget_bias)

    def initial_state(self, batch_size: int) -> TARDISState:
        """h and c as `initial` says."""
        return TARDISState(self.initial_h(batch_size), self.initial_c(batch_size))

    def noise_spec(self, batch_size: int) -> TARDISNoise:
        """Gumbel noise for alpha and beta."""
        return TARDISNoise(Draw((batch_size, self.scales), "gumbel"))

    def forward(self, x: Tensor, state: TARDISState, noise: TARDISNoise | None = None) -> tuple[Tensor, TARDISState]:
        """One step."""
        x, r = x.split([self.input_size - self.read_size, self.read_size], dim=-1)
        seen = torch.cat([x, r, state.h], dim=-1)
        scale = F.linear(seen, self.weight_scale, self.bias_scale)
        scale = ((scale if noise is None else scale + noise.gates) / self.temperature).sigmoid()
        alpha, beta = scale[:, :1], scale[:, -1:]
        scaled = torch.cat([x, beta * r, alpha * state.h], dim=-1)
        candidate = F.linear(scaled, self.weight_candidate, self.bias_candidate).tanh()
        i, f, o = F.linear(seen, self.weight, self.bias).chunk(3, -1)
        if self.peephole is not None:
            i, f = i + self.peephole[0] * state.c, f + self.peephole[1] * state.c
        c = f.sigmoid() * state.c + i.sigmoid() * candidate
        if self.peephole is not None:
            o = o + self.peephole[2] * c
        h = (o.sigmoid() * c.tanh()).type_as(state.h)
        return h, TARDISState(h, c.type_as(state.c))

    def hidden(self, state: TARDISState) -> Tensor:
        """h."""
        return state.h

    def with_hidden(self, state: TARDISState, hidden: Tensor) -> TARDISState:
        """h replaced, c kept."""
        return state._replace(h=hidden)

    def features(self, state: TARDISState) -> dict[str, Tensor]:
        """h and c."""
        return {"h": state.h, "c": state.c}

    @property
    def feature_sizes(self) -> dict[str, int]:
        """H each."""
        return {"h": self.hidden_size, "c": self.hidden_size}
