"""Layers of cells with skip connections: the input goes to each of them, and the output comes from each of them.

Shapes: B batch, H hidden of all layers together.
Sources: Graves 2013, "Generating sequences with recurrent neural networks", section 2; with LSTM layers the controller
of Graves et al. 2016, "Controller network".
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from torchmann.cells.stacked import Stacked, StackedState
from torchmann.core.cell import Cell


class SkipStacked(Stacked):
    """Cells on top of each other, each of which also sees the input; all of them side by side are the output::

        y^1 = cell^1(x)
        y^l = cell^l([x ; y^(l-1)])
        y   = [y^1 ; ... ; y^L]

    As a controller, with controllers as cells, its hidden vector is that of all layers side by side, too.

    Args:
        cells: from the bottom; those above it take the input and what the one below gives.
        dropout: probability with which an output on its way to the next layer is dropped in training.

    Raises:
        OptionError: no cells, or sizes that do not fit, or a dropout outside [0, 1).
    """

    references = ("skip",)

    def __init__(self, cells: Sequence[Cell], dropout: float = 0.0) -> None:
        super().__init__(cells, dropout)
        self.output_size = sum(cell.output_size for cell in cells)
        self.recurrent = any(getattr(cell, "recurrent", True) for cell in cells)

    @staticmethod
    def layer_input_size(input_size: int, below: int) -> int:
        """Both."""
        return input_size + below

    def layer_input(self, x: Tensor, below: Tensor) -> Tensor:
        """Both, side by side."""
        return torch.cat([x, below], dim=-1)

    def output(self, outputs: Sequence[Tensor]) -> Tensor:
        """All layers' side by side."""
        return torch.cat(list(outputs), dim=-1)

    def hidden(self, state: StackedState) -> Tensor:
        """All layers' side by side, ``[B, H]``."""
        return torch.cat([cell.hidden(layer) for cell, layer in zip(self.cells, state.layers, strict=True)], dim=-1)

    def with_hidden(self, state: StackedState, hidden: Tensor) -> StackedState:
        """Every layer's replaced by its part of ``hidden [B, H]``."""
        parts = hidden.split([cell.feature_sizes["h"] for cell in self.cells], dim=-1)
        layers = zip(self.cells, state.layers, parts, strict=True)
        return StackedState(tuple(cell.with_hidden(layer, part) for cell, layer, part in layers))

    def features(self, state: StackedState) -> dict[str, Tensor]:
        """Those of `Stacked`, but under a name that all layers have (``"h"``) the features of all, side by side."""
        layers = [cell.features(layer) for cell, layer in zip(self.cells, state.layers, strict=True)]
        joined = {name: torch.cat([features[name] for features in layers], dim=-1) for name in self._shared_names()}
        return super().features(state) | joined

    @property
    def feature_sizes(self) -> dict[str, int]:
        """The widths of `features`."""
        layers = [cell.feature_sizes for cell in self.cells]
        return super().feature_sizes | {name: sum(sizes[name] for sizes in layers) for name in self._shared_names()}

    def _shared_names(self) -> list[str]:
        first, *others = [cell.feature_sizes for cell in self.cells]
        return [name for name in first if all(name in sizes for sizes in others)]
