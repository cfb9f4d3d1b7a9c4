"""The gated recurrent unit.

Shapes: B batch, I input, H hidden.
Source: Cho et al. 2014; equations and gate order as in `torch.nn.GRU`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from torchmann.core.cell import Controller
from torchmann.core.errors import require_positive
from torchmann.core.initialisers import orthogonal_per_gate_, xavier_per_gate_
from torchmann.core.start import Start, StartKind
from torchmann.core.state import state


@state
class GRUState(NamedTuple):
    """What a GRU carries."""

    h: Tensor  # [B, H]


class GRUCell(Controller):
    """Reset gate r, update gate z, candidate n; the output is h::

        r = sigma(W_ir x + b_ir + W_hr h + b_hr)
        z = sigma(W_iz x + b_iz + W_hz h + b_hz)
        n = tanh(W_in x + b_in + r * (W_hn h + b_hn))       reset_after=True, as in torch
        n = tanh(W_in x + b_in + W_hn (r * h))              reset_after=False, as first published
        h = (1 - z) * n + z * h

    Args:
        input_size: I.
        hidden_size: H.
        bias: add the biases.
        reset_after: apply the reset gate after the matrix product; or before it, without b_h, which b_i then contains.
        initial: where h starts: ``"constant"`` zeros, ``"learned"``, ``"tanh"`` of a learned vector.
    """

    references = ("gru",)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        bias: bool = True,
        reset_after: bool = True,
        initial: StartKind = "constant",
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        require_positive(input_size=input_size, hidden_size=hidden_size)
        at: dict[str, Any] = {"device": device, "dtype": dtype}
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        self.reset_after = reset_after
        self.weight_ih = nn.Parameter(torch.empty(3 * hidden_size, input_size, **at))
        self.weight_hh = nn.Parameter(torch.empty(3 * hidden_size, hidden_size, **at))
        self.bias_ih = nn.Parameter(torch.empty(3 * hidden_size, **at)) if bias else None
        self.bias_hh = nn.Parameter(torch.empty(3 * hidden_size, **at)) if bias and reset_after else None
        self.initial_h = Start((hidden_size,), initial, **at)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Per gate: Xavier from the input, orthogonal from the state; biases zero."""
        xavier_per_gate_(self.weight_ih, 3)
        orthogonal_per_gate_(self.weight_hh, 3)
        for bias in (self.bias_ih, self.bias_hh):
            if bias is not None:
                nn.init.zeros_(bias)

    def initial_state(self, batch_size: int) -> GRUState:
        """h as `initial` says."""
        return GRUState(self.initial_h(batch_size))

    def forward(self, x: Tensor, state: GRUState, noise: None = None) -> tuple[Tensor, GRUState]:
        """One step."""
        reset_x, update_x, candidate_x = F.linear(x, self.weight_ih, self.bias_ih).chunk(3, -1)
        if self.reset_after:
            reset_h, update_h, candidate_h = F.linear(state.h, self.weight_hh, self.bias_hh).chunk(3, -1)
            reset = (reset_x + reset_h).sigmoid()
            candidate = (candidate_x + reset * candidate_h).tanh()
        else:
            to_gates, to_candidate = self.weight_hh.split([2 * self.hidden_size, self.hidden_size])
            reset_h, update_h = F.linear(state.h, to_gates).chunk(2, -1)
            reset = (reset_x + reset_h).sigmoid()
            candidate = (candidate_x + F.linear(reset * state.h, to_candidate)).tanh()
        update = (update_x + update_h).sigmoid()
        h = ((1 - update) * candidate + update * state.h).type_as(state.h)
        return h, GRUState(h)

    def hidden(self, state: GRUState) -> Tensor:
        """h."""
        return state.h

    def with_hidden(self, state: GRUState, hidden: Tensor) -> GRUState:
        """h replaced."""
        return GRUState(hidden)
