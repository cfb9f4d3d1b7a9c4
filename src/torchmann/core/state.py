"""States: immutable, typed trees of tensors, batch first in every leaf.

`@state` turns a ``NamedTuple`` into a state: it attaches the verbs of `State` and registers the type for export and
for safe loading. Fields are tensors ``[B, ...]``, other states, or tuples of these; what is absent is an empty tuple.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor
from torch.serialization import add_safe_globals
from torch.utils._pytree import _register_namedtuple

Tree = Any  # a tensor, None, or a (named) tuple of trees
StateType = TypeVar("StateType", bound=type)


class State(Protocol):
    """What every class decorated with `@state` can do. Each verb returns a new state."""

    def detach(self) -> State:
        """The same values, cut from the graph (truncated back-propagation)."""

    def to(self, device: Any = None, dtype: torch.dtype | None = None) -> State:
        """Move to a device or a floating dtype; integer and boolean leaves keep their dtype."""

    def clone(self) -> State:
        """A copy that shares no memory."""

    def reset(self, mask: Tensor, initial: State) -> State:
        """Rows where ``mask [B]`` is True start anew from `initial`; the others are kept."""

    def select(self, rows: Any) -> State:
        """The rows of the batch that `rows` names (an index tensor, a list or a slice)."""

    def cat(self, *others: State) -> State:
        """This state's rows followed by those of `others`."""

    def flatten(self) -> dict[str, Tensor]:
        """Leaves by dotted name, e.g. ``"memory.usage"``: what a checkpoint stores."""

    def unflatten(self, leaves: dict[str, Tensor]) -> State:
        """A state of this structure with `leaves` as its tensors; the inverse of `flatten`."""


def map_leaves(function: Callable[..., Any], tree: Tree, *others: Tree) -> Tree:
    """Apply `function` to corresponding leaves of trees of one structure; None stays None."""
    if tree is None:
        return None
    if not isinstance(tree, tuple):
        return function(tree, *others)
    mapped = [map_leaves(function, *parts) for parts in zip(tree, *others, strict=True)]
    return type(tree)(*mapped) if hasattr(tree, "_fields") else tuple(mapped)


def named_leaves(tree: Tree, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """The tensors of a tree with their dotted names, in order."""
    if tree is None:
        return
    if not isinstance(tree, tuple):
        yield prefix, tree
        return
    names = getattr(tree, "_fields", range(len(tree)))
    for name, part in zip(names, tree, strict=True):
        yield from named_leaves(part, f"{prefix}.{name}" if prefix else str(name))


def where_rows(mask: Tensor, new: Tree, old: Tree) -> Tree:
    """Leaf by leaf, rows of `new` where ``mask [B]`` is True and rows of `old` elsewhere."""

    def choose(new_leaf: Tensor, old_leaf: Tensor) -> Tensor:
        return torch.where(mask.view(-1, *[1] * (old_leaf.dim() - 1)), new_leaf, old_leaf)

    return map_leaves(choose, new, old)


def _detach(self: Tree) -> Tree:
    return map_leaves(Tensor.detach, self)


def _to(self: Tree, device: Any = None, dtype: torch.dtype | None = None) -> Tree:
    def move(leaf: Tensor) -> Tensor:
        return leaf.to(device=device, dtype=dtype if leaf.is_floating_point() else None)

    return map_leaves(move, self)


def _clone(self: Tree) -> Tree:
    return map_leaves(Tensor.clone, self)


def _reset(self: Tree, mask: Tensor, initial: Tree) -> Tree:
    return where_rows(mask, initial, self)


def _select(self: Tree, rows: Any) -> Tree:
    return map_leaves(lambda leaf: leaf[rows], self)


def _cat(self: Tree, *others: Tree) -> Tree:
    return map_leaves(lambda *leaves: torch.cat(leaves), self, *others)


def _flatten(self: Tree) -> dict[str, Tensor]:
    return dict(named_leaves(self))


def _unflatten(self: Tree, leaves: dict[str, Tensor]) -> Tree:
    names = [name for name, _ in named_leaves(self)]
    if set(names) != set(leaves):
        missing, surplus = sorted(set(names) - set(leaves)), sorted(set(leaves) - set(names))
        raise KeyError(f"leaves do not fit {type(self).__name__}: missing {missing}, surplus {surplus}.")
    values = iter([leaves[name] for name in names])
    return map_leaves(lambda _: next(values), self)


_VERBS: dict[str, Callable[..., Any]] = {
    "detach": _detach,
    "to": _to,
    "clone": _clone,
    "reset": _reset,
    "select": _select,
    "cat": _cat,
    "flatten": _flatten,
    "unflatten": _unflatten,
}


def state(cls: StateType) -> StateType:
    """Class decorator that makes a ``NamedTuple`` a `State`.

    Raises:
        TypeError: `cls` is no NamedTuple, or a field has the name of a verb or of a tuple method.
    """
    fields = getattr(cls, "_fields", None)
    if fields is None:
        raise TypeError(f"@state decorates a typing.NamedTuple, but {cls.__name__} is none.")
    taken = {"count", "index", *_VERBS} & set(fields)
    if taken:
        raise TypeError(f"{cls.__name__} has fields {sorted(taken)}, names that every state needs; rename them.")
    for name, verb in _VERBS.items():
        setattr(cls, name, verb)
    add_safe_globals([cls])  # torch.load(..., weights_only=True) takes it
    # torch.export.save names this very function as the way to make a NamedTuple storable
    _register_namedtuple(cls, serialized_type_name=f"{cls.__module__}.{cls.__qualname__}")
    return cls
