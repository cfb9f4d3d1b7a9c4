"""What a run over time takes as one list of tensors, as a function with a gradient of its own needs it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any, NamedTuple

import torch
from torch import Tensor

from torchmann.core.errors import OptionError
from torchmann.core.state import Tree, map_leaves, named_leaves


def leaves_of(tree: Tree) -> tuple[Tensor, ...]:
    """The tensors of a tree, in order."""
    return tuple(leaf for _, leaf in named_leaves(tree))


def filled(tree: Tree, leaves: Sequence[Tensor]) -> Tree:
    """A tree of this structure with `leaves` as its tensors."""
    values = iter(leaves)
    return map_leaves(lambda _: next(values), tree)


def distinct(leaves: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The leaves, a tensor that is there twice copied: as two results of one function it would lose a gradient."""
    places = [id(leaf) for leaf in leaves]
    return tuple(leaf.clone() if id(leaf) in places[:number] else leaf for number, leaf in enumerate(leaves))


class FirstOnly(torch.autograd.Function):
    """A first derivative as the named engine gives it, which has no derivative."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, engine: str) -> Tensor:
        ctx.engine = engine
        return gradient.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        raise OptionError(
            f"engine={ctx.engine!r} has no second derivatives: use engine='eager' or engine='checkpointed'."
        )


class Layout(NamedTuple):
    """How many tensors of each sort there are, in this order."""

    parameters: int
    buffers: int
    inputs: int  # x and the leaves of the noise
    leaves: int  # of the state

    def split(self, tensors: Sequence[Tensor]) -> list[list[Tensor]]:
        """The tensors of each sort, and in a last list what else there is."""
        rest = iter(tensors)
        return [*(list(islice(rest, size)) for size in self), list(rest)]
