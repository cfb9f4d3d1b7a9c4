"""Zoneout: in training some units of a state stay as they were.

Shapes: B batch, I input, H hidden.
Sources: Krueger et al. 2017, "Zoneout: regularizing RNNs by randomly preserving hidden activations"; the code of the
ARMIN paper's authors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from torchmann.cells.wrapped import Wrapped
from torchmann.core.cell import Controller
from torchmann.core.errors import OptionError, unknown_name
from torchmann.core.noise import Draw
from torchmann.core.state import map_leaves, named_leaves


class ZoneoutNoise(NamedTuple):
    """The controller's noise, and for each part of its state which units take their new value (1) or stay (0)."""

    controller: Any
    kept: Any  # of the structure of the state


class Zoneout(Wrapped):
    """``state <- m * new state + (1 - m) * state`` with a Bernoulli mask m; in evaluation m is its mean.

    Args:
        controller: whose state is zoned out.
        keep: probability with which a unit takes its new value; or one for each part of the state by name, such as
            ``{"h": 0.9, "c": 0.5}``, where parts that are not named always do.
        output: ``"zoned"``: the hidden vector of the zoned state (Krueger et al.; for controllers whose output is
            their hidden vector); ``"new"``: the controller's output, made before (ARMIN).

    Raises:
        OptionError: a probability outside (0, 1], a name that the state has not, an unknown `output`, or a zoned output
            of a controller that does not give its hidden vector.
    """

    references = ("zoneout",)

    def __init__(
        self,
        controller: Controller,
        keep: float | Mapping[str, float],
        *,
        output: Literal["zoned", "new"] = "zoned",
    ) -> None:
        super().__init__(controller)
        if output not in ("zoned", "new"):
            raise unknown_name("output", output, ("zoned", "new"))
        if output == "zoned" and controller.output_size != controller.feature_sizes["h"]:
            raise OptionError(
                f"{type(controller).__name__} does not give its hidden vector, so there is no zoned output: "
                "use output='new'."
            )
        start = controller.initial_state(1)
        parts = {name: leaf.is_floating_point() for name, leaf in named_leaves(start)}
        rates = keep if isinstance(keep, Mapping) else {name: keep for name, zonable in parts.items() if zonable}
        for name, rate in rates.items():
            if not parts.get(name, False):
                raise unknown_name("part of the state to keep", name, [name for name in parts if parts[name]])
            if not 0 < rate <= 1:
                raise OptionError(f"keep must be in (0, 1], got {rate} for {name!r}; 1 is no zoneout.")
        self.keep = start.unflatten({name: rates.get(name, 1.0) for name in parts})
        self.output = output

    def noise_spec(self, batch_size: int) -> ZoneoutNoise:
        """The controller's, and a mask for each part of the state that is zoned out."""

        def draw(leaf: Tensor, rate: float) -> Draw | None:
            return Draw(tuple(leaf.shape), "bernoulli", rate) if rate < 1 else None

        kept = map_leaves(draw, self.controller.initial_state(batch_size), self.keep)
        return ZoneoutNoise(self.controller.noise_spec(batch_size), kept)

    def forward(self, x: Tensor, state: Any, noise: ZoneoutNoise | None = None) -> tuple[Tensor, Any]:
        """One step."""
        output, new = self.controller(x, state, None if noise is None else noise.controller)
        after = map_leaves(_zoned, new, state, self.keep, self.keep if noise is None else noise.kept)
        return self.hidden(after) if self.output == "zoned" else output, after


def _zoned(new: Tensor, old: Tensor, rate: float, mask: Tensor | float) -> Tensor:
    return new if rate == 1 else torch.lerp(old, new, mask)
