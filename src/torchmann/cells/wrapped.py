"""A controller around another one, which it leaves as it is but for one thing.

Shapes: B batch, I input, H hidden.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from torchmann.core.cell import Controller


class Wrapped(Controller):
    """Hands all questions on to a controller; a subclass changes its step.

    Args:
        controller: what is wrapped.
    """

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self.controller = controller
        self.input_size, self.output_size = controller.input_size, controller.output_size
        self.recurrent = controller.recurrent

    def initial_state(self, batch_size: int) -> Any:
        """The controller's."""
        return self.controller.initial_state(batch_size)

    def noise_spec(self, batch_size: int) -> Any:
        """The controller's."""
        return self.controller.noise_spec(batch_size)

    def hidden(self, state: Any) -> Tensor:
        """The controller's."""
        return self.controller.hidden(state)

    def with_hidden(self, state: Any, hidden: Tensor) -> Any:
        """The controller's."""
        return self.controller.with_hidden(state, hidden)

    def features(self, state: Any) -> dict[str, Tensor]:
        """The controller's."""
        return self.controller.features(state)

    @property
    def feature_sizes(self) -> dict[str, int]:
        """The controller's."""
        return self.controller.feature_sizes

    def penalties(self, state: Any) -> dict[str, Tensor]:
        """The controller's."""
        return self.controller.penalties(state)
