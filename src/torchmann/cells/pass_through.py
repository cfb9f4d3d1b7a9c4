"""A controller that hands its input on as it is.

Shapes: B batch, I input.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from torchmann.core.cell import Controller
from torchmann.core.start import Start
from torchmann.core.state import state


@state
class PassThroughState(NamedTuple):
    """The last input: what the accessors of a controller show. The step does not look at it."""

    h: Tensor  # [B, I]


class PassThrough(Controller):
    """``h_t = x_t``: the interface sees the input itself, as in a memory that is its own controller.

    Args:
        input_size: I.
    """

    recurrent = False

    def __init__(self, input_size: int, *, device: Any = None, dtype: torch.dtype | None = None) -> None:
        super().__init__()
        self.input_size, self.output_size = input_size, input_size
        self.start = Start((input_size,), device=device, dtype=dtype)

    def initial_state(self, batch_size: int) -> PassThroughState:
        """Zeros."""
        return PassThroughState(self.start(batch_size))

    def forward(self, x: Tensor, state: PassThroughState, noise: None = None) -> tuple[Tensor, PassThroughState]:
        """One step."""
        h = x.type_as(state.h)
        return h, PassThroughState(h)

    def hidden(self, state: PassThroughState) -> Tensor:
        """The last input."""
        return state.h

    def with_hidden(self, state: PassThroughState, hidden: Tensor) -> PassThroughState:
        """h replaced; without effect on the next step."""
        return PassThroughState(hidden)
