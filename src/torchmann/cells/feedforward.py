"""A controller without a memory of its own.

Shapes: B batch, I input, H hidden.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from torchmann.core.cell import Controller
from torchmann.core.errors import require_positive
from torchmann.core.state import state
from torchmann.functional import activation_named


@state
class FeedForwardState(NamedTuple):
    """The last hidden vector: what the accessors of a controller show. The step does not look at it."""

    h: Tensor  # [B, H]


class FeedForwardCell(Controller):
    """``h_t = activation(W x_t + b)``: every step for itself.

    Args:
        input_size: I.
        hidden_size: H.
        activation: ``"relu"``, ``"tanh"``, ``"sigmoid"``, ``"softplus"`` or ``"none"``.
        bias: add b.
    """

    recurrent = False

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        activation: str = "relu",
        bias: bool = True,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        require_positive(input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        self.linear = nn.Linear(input_size, hidden_size, bias=bias, device=device, dtype=dtype)
        self.activation = activation_named(activation)
        nn.init.xavier_uniform_(self.linear.weight)
        if bias:
            nn.init.zeros_(self.linear.bias)

    def initial_state(self, batch_size: int) -> FeedForwardState:
        """Zeros."""
        return FeedForwardState(self.linear.weight.new_zeros(batch_size, self.hidden_size))

    def forward(self, x: Tensor, state: FeedForwardState, noise: None = None) -> tuple[Tensor, FeedForwardState]:
        """One step."""
        h = self.activation(self.linear(x)).type_as(state.h)
        return h, FeedForwardState(h)

    def hidden(self, state: FeedForwardState) -> Tensor:
        """h."""
        return state.h

    def with_hidden(self, state: FeedForwardState, hidden: Tensor) -> FeedForwardState:
        """h replaced; without effect on the next step."""
        return FeedForwardState(hidden)
