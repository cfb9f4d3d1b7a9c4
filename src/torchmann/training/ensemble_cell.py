"""The cells of several members as one cell, for engines that cannot be called within `vmap` themselves.

Shapes: S members, B batch of a member, R = S B rows, member after member, I input, O output.
"""

from __future__ import annotations

import copy
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.func import functional_call, vmap

from torchmann.core.cell import DENSE, Cell, Step
from torchmann.core.state import Tree, map_leaves


class MembersCell(Cell):
    """Cells that are equal but for their tensors: a step is theirs, each on its share of the rows.

    It has no tensors of its own: before it runs, `take` gives it those of the members.

    Args:
        cell: of one of the members; it is copied.
        members: S.
    """

    def __init__(self, cell: Cell, members: int) -> None:
        super().__init__()
        self.members, self.input_size, self.output_size = members, cell.input_size, cell.output_size
        self.member = _Member(copy.deepcopy(cell))

    def take(self, tensors: Mapping[str, Tensor]) -> None:
        """Let these be the parameters and buffers, ``[S, ...]`` each, by their names in a member's cell.

        They stay, because an engine may do a step again in the backward pass; gradients go where they come from.
        """
        for name, tensor in tensors.items():
            path, _, own = name.rpartition(".")
            module = self.member.cell.get_submodule(path)
            (module._parameters if own in module._parameters else module._buffers)[own] = tensor  # type: ignore

    def initial_state(self, batch_size: int) -> Any:
        """That of each member, for its share of the rows."""
        share = batch_size // self.members
        return self._each(lambda: self.member.cell.initial_state(share))

    def noise_spec(self, batch_size: int) -> Any:
        """That of a member, for all rows."""
        return self.member.cell.noise_spec(batch_size)

    def schedule(self, length: int, start: int = 0) -> Sequence[Hashable]:
        """That of a member."""
        return self.member.cell.schedule(length, start)

    def step_of_kind(self, kind: Hashable) -> Step:
        """The step of that kind of every member."""

        def step(x_RI: Tensor, state: Any, noise: Tree = None) -> tuple[Tensor, Any]:
            return self._each(lambda *parts: self.member.cell.step_of_kind(kind)(*parts), x_RI, state, noise)

        return step

    def forward(self, x_RI: Tensor, state: Any, noise: Tree = None) -> tuple[Tensor, Any]:
        """The dense step of every member."""
        return self.step_of_kind(DENSE)(x_RI, state, noise)

    def _each(self, method: Any, *arguments: Tree) -> Any:
        """What `method` gives with the tensors of each member in their place, for its share of each argument's rows."""
        parts = [map_leaves(lambda leaf: leaf.unflatten(0, (self.members, -1)), argument) for argument in arguments]
        axes = tuple(map_leaves(lambda _: 0, part) for part in parts)

        def run(tensors: dict[str, Tensor], *mine: Tree) -> Any:
            return functional_call(self.member, tensors, (method, *mine))

        tensors = dict(self.member.named_parameters()) | dict(self.member.named_buffers())
        return map_leaves(lambda leaf: leaf.flatten(0, 1), vmap(run, in_dims=(0, *axes))(tensors, *parts))


class _Member(nn.Module):
    """The cell of a member; a call of the module is a call of anything that uses the cell."""

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, method: Any, *arguments: Any) -> Any:
        return method(*arguments)
