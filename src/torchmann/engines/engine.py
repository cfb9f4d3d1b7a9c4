"""Engines: how a cell is unrolled over time."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Protocol

from torch import Tensor

from torchmann.core.cell import Cell
from torchmann.core.errors import unknown_name
from torchmann.core.state import Tree
from torchmann.engines import eager, fused, lightweight


class Engine(Protocol):
    """Unrolls a cell; outputs, states and first derivatives are those of `eager.unroll`, whose arguments it takes."""

    def __call__(
        self,
        cell: Cell,
        inputs_TBI: Tensor,
        state: Any,
        *,
        schedule: Sequence[Hashable],
        lengths_B: Tensor | None = None,
        reset_TB: Tensor | None = None,
        noise: Tree = None,
    ) -> tuple[Tensor, Any]:
        """Run `cell` over the time axis."""


ENGINES: dict[str, Engine] = {"eager": eager.unroll, "lightweight": lightweight.unroll, "fused": fused.unroll}


def check_engine(name: str) -> str:
    """`name` if it is ``"auto"`` or an engine.

    Raises:
        OptionError: no such engine.
    """
    if name not in ("auto", *ENGINES):
        raise unknown_name("engine", name, ("auto", *ENGINES))
    return name


def choose_engine(name: str) -> Engine:
    """The engine of that name; ``"auto"`` is the fastest one that can run the cell with gradients, today eager."""
    return ENGINES["eager" if name == "auto" else name]
