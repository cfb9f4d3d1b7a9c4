"""Engines: how a cell is unrolled over time."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Protocol

from torch import Tensor

from torchmann.core.cell import Cell
from torchmann.core.errors import unknown_name
from torchmann.core.state import Tree
from torchmann.engines import compiled, eager, fused, lightweight, sparse
from torchmann.engines.checkpointed import Checkpointed


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


ENGINES: dict[str, Engine] = {
    "eager": eager.unroll,
    "lightweight": lightweight.unroll,
    "fused": fused.unroll,
    "compiled": compiled.unroll,
    "checkpointed": Checkpointed(),
    "sparse": sparse.unroll,
}

AROUND = "checkpointed:"
"""What comes before the name of the engine that `Checkpointed` shall run."""


def check_engine(engine: str | Engine) -> str | Engine:
    """`engine` if it is ``"auto"``, the name of an engine, ``"checkpointed:"`` and such a name, or itself an engine.

    Raises:
        OptionError: no such engine.
    """
    name = engine.removeprefix(AROUND) if isinstance(engine, str) else "auto"
    if name not in ("auto", *ENGINES):
        raise unknown_name("engine", name, ("auto", *ENGINES))
    return engine


def choose_engine(engine: str | Engine) -> Engine:
    """The engine of that name; ``"auto"`` is the fastest one that can run the cell with gradients."""
    if not isinstance(engine, str):
        return engine
    if engine == "auto":
        return fused.unroll_where_possible
    if engine.startswith(AROUND):
        return Checkpointed(choose_engine(engine.removeprefix(AROUND)))
    return ENGINES[engine]


def automatic_choice() -> str:
    """The engine that ``"auto"`` takes on this machine for what each engine can run."""
    return "eager" if fused.problem_here() else "fused"
