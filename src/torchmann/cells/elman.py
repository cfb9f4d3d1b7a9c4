"""The Elman network: the plain recurrent cell.

Shapes: B batch, I input, H hidden.
Source: Elman 1990; equations as in `torch.nn.RNN`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from torchmann.core.cell import Controller
from torchmann.core.errors import require_positive, unknown_name
from torchmann.core.initialisers import orthogonal_per_gate_, xavier_per_gate_
from torchmann.core.start import Start, StartKind
from torchmann.core.state import state


@state
class ElmanState(NamedTuple):
    """What an Elman cell carries."""

    h: Tensor  # [B, H]


class ElmanCell(Controller):
    """``h_t = tanh(W_ih x_t + W_hh h_{t-1} + b)``; the output is h.

    Args:
        input_size: I.
        hidden_size: H.
        nonlinearity: ``"tanh"`` or ``"relu"``.
        bias: add b.
        initial: where h starts: ``"constant"`` zeros, ``"learned"``, ``"tanh"`` of a learned vector.
    """

    references = ("elman",)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        nonlinearity: str = "tanh",
        bias: bool = True,
        initial: StartKind = "constant",
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        require_positive(input_size=input_size, hidden_size=hidden_size)
        if nonlinearity not in ("tanh", "relu"):
            raise unknown_name("nonlinearity", nonlinearity, ("tanh", "relu"))
        at: dict[str, Any] = {"device": device, "dtype": dtype}
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        self.nonlinearity = nonlinearity
        self.weight_ih = nn.Parameter(torch.empty(hidden_size, input_size, **at))
        self.weight_hh = nn.Parameter(torch.empty(hidden_size, hidden_size, **at))
        self.bias = nn.Parameter(torch.empty(hidden_size, **at)) if bias else None
        self.initial_h = Start((hidden_size,), initial, **at)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier from the input, orthogonal from the state, bias zero."""
        xavier_per_gate_(self.weight_ih, 1)
        orthogonal_per_gate_(self.weight_hh, 1)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def initial_state(self, batch_size: int) -> ElmanState:
        """h as `initial` says."""
        return ElmanState(self.initial_h(batch_size))

    def forward(self, x: Tensor, state: ElmanState, noise: None = None) -> tuple[Tensor, ElmanState]:
        """One step."""
        total_BH = F.linear(x, self.weight_ih, self.bias) + F.linear(state.h, self.weight_hh)
        h = total_BH.tanh() if self.nonlinearity == "tanh" else total_BH.relu()
        h = h.type_as(state.h)  # under autocast the state keeps its dtype
        return h, ElmanState(h)

    def hidden(self, state: ElmanState) -> Tensor:
        """h."""
        return state.h

    def with_hidden(self, state: ElmanState, hidden: Tensor) -> ElmanState:
        """h replaced."""
        return ElmanState(hidden)
