"""A controller whose output is layer-normalised, while its state is not.

Shapes: B batch, I input, H hidden.
Source: Ba et al. 2016; so used by DAM and the robust DNC before it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from torchmann.core.cell import Controller


class Normalised(Controller):
    """``y = LayerNorm(controller output)``: what reads the output is normalised, the recurrence goes on as it was.

    Args:
        controller: whose output is normalised.
        epsilon: inside the root.
    """

    references = ("layer_norm",)

    def __init__(
        self, controller: Controller, *, epsilon: float = 1e-6, device: Any = None, dtype: torch.dtype | None = None
    ) -> None:
        super().__init__()
        self.controller = controller
        self.input_size, self.output_size = controller.input_size, controller.output_size
        self.recurrent = controller.recurrent
        self.norm = nn.LayerNorm(controller.output_size, eps=epsilon, device=device, dtype=dtype)

    def initial_state(self, batch_size: int) -> Any:
        """The controller's."""
        return self.controller.initial_state(batch_size)

    def noise_spec(self, batch_size: int) -> Any:
        """The controller's."""
        return self.controller.noise_spec(batch_size)

    def forward(self, x: Tensor, state: Any, noise: Any = None) -> tuple[Tensor, Any]:
        """One step."""
        output, state = self.controller(x, state, noise)
        return self.norm(output), state

    def hidden(self, state: Any) -> Tensor:
        """The controller's, not normalised."""
        return self.controller.hidden(state)

    def with_hidden(self, state: Any, hidden: Tensor) -> Any:
        """The controller's."""
        return self.controller.with_hidden(state, hidden)

    def features(self, state: Any) -> dict[str, Tensor]:
        """The controller's, not normalised."""
        return self.controller.features(state)

    @property
    def feature_sizes(self) -> dict[str, int]:
        """The controller's."""
        return self.controller.feature_sizes

    def penalties(self, state: Any) -> dict[str, Tensor]:
        """The controller's."""
        return self.controller.penalties(state)
