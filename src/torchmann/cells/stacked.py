"""Layers of cells: each reads the output of the one below.

Shapes: B batch, I input, O output.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from torch import Tensor, nn

from torchmann.core.cell import DENSE, Cell, Controller, Step
from torchmann.core.errors import OptionError
from torchmann.core.noise import Draw
from torchmann.core.state import state


@state
class StackedState(NamedTuple):
    """The states of the layers, from the bottom."""

    layers: tuple[Any, ...]


class StackedNoise(NamedTuple):
    """The layers' own noise, and the dropout masks between them (1 = kept)."""

    layers: tuple[Any, ...]
    kept: tuple[Any, ...]


class Stacked(Controller):
    """Cells on top of each other, itself a cell: what ``num_layers`` is to `torch.nn.LSTM`.

    Args:
        cells: from the bottom; each takes what the one below gives.
        dropout: probability with which an output between two layers is dropped in training.

    Raises:
        OptionError: no cells, or sizes that do not fit, or a dropout outside [0, 1).
    """

    def __init__(self, cells: Sequence[Cell], dropout: float = 0.0) -> None:
        super().__init__()
        if not cells:
            raise OptionError("cells must hold at least one cell, got none.")
        for number, (below, above) in enumerate(pairwise(cells)):
            size = self.layer_input_size(cells[0].input_size, below.output_size)
            if size != above.input_size:
                raise OptionError(
                    f"cells[{number + 1}] is shown {size} features, but takes {above.input_size}: "
                    f"build it with input_size={size}."
                )
        if not 0 <= dropout < 1:
            raise OptionError(f"dropout must be in [0, 1), got {dropout}.")
        self.cells: Any = nn.ModuleList(cells)
        self.dropout = dropout
        self.recurrent = getattr(cells[-1], "recurrent", True)  # the top layer's
        self.input_size, self.output_size = cells[0].input_size, cells[-1].output_size

    @staticmethod
    def layer_input_size(input_size: int, below: int) -> int:
        """How many features a layer above the bottom takes, where the one below it gives `below`."""
        return below

    def layer_input(self, x: Tensor, below: Tensor) -> Tensor:
        """What a layer above the bottom sees, from the input of the stack and the output below it."""
        return below

    def output(self, outputs: Sequence[Tensor]) -> Tensor:
        """What the stack gives, from the outputs of the layers."""
        return outputs[-1]

    def initial_state(self, batch_size: int) -> StackedState:
        """Each layer's own."""
        return StackedState(tuple(cell.initial_state(batch_size) for cell in self.cells))

    def noise_spec(self, batch_size: int) -> StackedNoise | None:
        """Each layer's own, and a mask between each two layers when there is dropout."""
        layers = tuple(cell.noise_spec(batch_size) for cell in self.cells)
        if not self.dropout and all(layer is None for layer in layers):
            return None
        kept = [
            Draw((batch_size, cell.output_size), "bernoulli", 1 - self.dropout) if self.dropout else None
            for cell in self.cells[:-1]
        ]
        return StackedNoise(layers, tuple(kept))

    def schedule(self, length: int, start: int = 0) -> Sequence[Hashable]:
        """For each step the kinds of all layers."""
        return list(zip(*(cell.schedule(length, start) for cell in self.cells), strict=True))

    def step_of_kind(self, kind: Hashable) -> Step:
        """A tuple names a kind for each layer; a single kind is for all layers."""
        kinds = kind if isinstance(kind, tuple) else (kind,) * len(self.cells)
        steps = [cell.step_of_kind(layer_kind) for cell, layer_kind in zip(self.cells, kinds, strict=True)]

        def step(x: Tensor, state: StackedState, noise: StackedNoise | None = None) -> tuple[Tensor, StackedState]:
            return self.through(steps, x, state, noise)

        return step

    def forward(self, x: Tensor, state: StackedState, noise: StackedNoise | None = None) -> tuple[Tensor, StackedState]:
        """One step of each layer."""
        return self.through([cell.step_of_kind(DENSE) for cell in self.cells], x, state, noise)

    def through(
        self, steps: Sequence[Step], x: Tensor, state: StackedState, noise: StackedNoise | None
    ) -> tuple[Tensor, StackedState]:
        """The given step of each layer, from the bottom; or each layer over a whole sequence ``[T, B, ...]``."""
        outputs: list[Tensor] = []
        layers = []
        for number, (step, layer) in enumerate(zip(steps, state.layers, strict=True)):
            seen = self.layer_input(x, self._kept(outputs[-1], number - 1, noise)) if outputs else x
            y, layer = step(seen, layer, None if noise is None else noise.layers[number])
            outputs.append(y)
            layers.append(layer)
        return self.output(outputs), StackedState(tuple(layers))

    def _kept(self, y: Tensor, number: int, noise: StackedNoise | None) -> Tensor:
        """The output of a layer, after dropout."""
        if noise is None or noise.kept[number] is None:
            return y
        return y * noise.kept[number] / (1 - self.dropout)

    def penalties(self, state: StackedState) -> dict[str, Tensor]:
        """Each layer's own, under the layer's number."""
        return {
            f"{number}.{name}": value
            for number, (cell, layer) in enumerate(zip(self.cells, state.layers, strict=True))
            for name, value in cell.penalties(layer).items()
        }

    def hidden(self, state: StackedState) -> Tensor:
        """The top layer's hidden vector."""
        return self.cells[-1].hidden(state.layers[-1])

    def with_hidden(self, state: StackedState, hidden: Tensor) -> StackedState:
        """The top layer's hidden vector replaced."""
        top = self.cells[-1].with_hidden(state.layers[-1], hidden)
        return StackedState((*state.layers[:-1], top))

    def features(self, state: StackedState) -> dict[str, Tensor]:
        """Every layer's features under the layer's number (``"0.h"``), and the top layer's also without."""
        numbered = {
            f"{number}.{name}": value
            for number, (cell, layer) in enumerate(zip(self.cells, state.layers, strict=True))
            for name, value in cell.features(layer).items()
        }
        return numbered | self.cells[-1].features(state.layers[-1])

    @property
    def feature_sizes(self) -> dict[str, int]:
        """The widths of `features`."""
        numbered = {
            f"{number}.{name}": size
            for number, cell in enumerate(self.cells)
            for name, size in cell.feature_sizes.items()
        }
        return numbered | self.cells[-1].feature_sizes
