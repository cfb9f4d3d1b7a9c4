"""A controller whose output is layer-normalised, while its state is not.

Shapes: B batch, I input, H hidden.
Source: Ba et al. 2016; so used by DAM and the robust DNC before it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from torchmann.cells.wrapped import Wrapped
from torchmann.core.cell import Controller


class Normalised(Wrapped):
    """``y = LayerNorm(controller output)``: what reads the output is normalised, the recurrence goes on as it was.

    The hidden vector and the features stay the controller's, not normalised.

    Args:
        controller: whose output is normalised.
        epsilon: inside the root.
    """

    references = ("layer_norm",)

    def __init__(
        self, controller: Controller, *, epsilon: float = 1e-6, device: Any = None, dtype: torch.dtype | None = None
    ) -> None:
        super().__init__(controller)
        self.norm = nn.LayerNorm(controller.output_size, eps=epsilon, device=device, dtype=dtype)

    def forward(self, x: Tensor, state: Any, noise: Any = None) -> tuple[Tensor, Any]:
        """One step."""
        output, state = self.controller(x, state, noise)
        return self.norm(output), state
