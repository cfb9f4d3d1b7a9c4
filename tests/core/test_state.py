"""The verbs of states, on nested states with integer leaves, tuples and absent parts."""

from __future__ import annotations

import io
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from torchmann.core import map_leaves, named_leaves, state, where_rows


@state
class Inner(NamedTuple):
    h: Tensor
    steps: Tensor  # int64
    link: Any = ()  # absent


@state
class Outer(NamedTuple):
    inner: Inner
    layers: tuple[Any, ...]
    noise: Any = None


def example(batch: int = 3) -> Outer:
    """Row b of every leaf starts with b."""
    rows = torch.arange(float(batch))
    first = Inner(rows.unsqueeze(1).repeat(1, 2), rows.long())
    return Outer(first, (Inner(rows.view(-1, 1, 1) + torch.zeros(2, 2), rows.long() * 10), rows))


NAMES = ["inner.h", "inner.steps", "layers.0.h", "layers.0.steps", "layers.1"]


def test_leaves_have_dotted_names_in_order() -> None:
    assert [name for name, _ in named_leaves(example())] == NAMES
    assert list(example().flatten()) == NAMES
    assert [name for name, _ in named_leaves(torch.zeros(1))] == [""]
    assert list(named_leaves(None)) == []


def test_unflatten_is_the_inverse_of_flatten() -> None:
    given = example()
    leaves = {name: leaf + 1 for name, leaf in reversed(given.flatten().items())}
    again = example(1).unflatten(leaves)
    assert type(again) is Outer and type(again.layers[0]) is Inner and again.inner.link == () and again.noise is None
    for name, leaf in again.flatten().items():
        assert torch.equal(leaf, given.flatten()[name] + 1)


@pytest.mark.parametrize(("drop", "add"), [("inner.h", None), (None, "inner.g")])
def test_unflatten_names_what_does_not_fit(drop: str | None, add: str | None) -> None:
    leaves = example().flatten()
    if drop:
        leaves.pop(drop)
    if add:
        leaves[add] = torch.zeros(3)
    with pytest.raises(KeyError, match=f"Outer.*{drop or add}"):
        example().unflatten(leaves)


def test_detach_cuts_every_leaf() -> None:
    given = map_leaves(lambda leaf: leaf.float().requires_grad_(), example())
    assert all(not leaf.requires_grad for leaf in given.detach().flatten().values())
    assert given.inner.h.requires_grad, "a verb leaves the state itself alone"


def test_to_keeps_integers() -> None:
    moved = example().to(dtype=torch.float64)
    assert moved.inner.h.dtype == torch.float64 and moved.layers[1].dtype == torch.float64
    assert moved.inner.steps.dtype == torch.int64
    assert all(leaf.is_meta for leaf in example().to("meta").flatten().values())
    assert example().to("meta").inner.steps.dtype == torch.int64


def test_clone_shares_nothing() -> None:
    given = example()
    copy = given.clone()
    for leaf in copy.flatten().values():
        leaf.add_(1)
    untouched = example().flatten()
    assert all(torch.equal(leaf, untouched[name]) for name, leaf in given.flatten().items())


def test_reset_takes_marked_rows_from_the_initial_state() -> None:
    given, initial = example(), map_leaves(lambda leaf: leaf + 100, example())
    mixed = given.reset(torch.tensor([False, True, False]), initial)
    for name, leaf in mixed.flatten().items():
        assert torch.equal(leaf[1], initial.flatten()[name][1])
        assert torch.equal(leaf[[0, 2]], given.flatten()[name][[0, 2]])
        assert leaf.dtype == given.flatten()[name].dtype


def test_reset_stops_the_gradient_of_what_it_replaces() -> None:
    old, new = torch.randn(3, 2, requires_grad=True), torch.randn(3, 2, requires_grad=True)
    where_rows(torch.tensor([True, False, False]), Inner(new, new), Inner(old, old)).h.sum().backward()
    assert old.grad[0].tolist() == [0, 0] and old.grad[1].tolist() == [1, 1]
    assert new.grad[0].tolist() == [1, 1] and new.grad[1].tolist() == [0, 0]


@pytest.mark.parametrize("rows", [[2, 0], torch.tensor([2, 0]), slice(1, 3), torch.tensor([True, False, True])])
def test_select_takes_rows(rows: Any) -> None:
    chosen = example().select(rows)
    assert torch.equal(chosen.inner.steps, torch.arange(3)[rows])
    assert all(len(leaf) == 2 for leaf in chosen.flatten().values())


def test_cat_appends_rows() -> None:
    joined = example(2).cat(example(3), example(1))
    assert joined.inner.steps.tolist() == [0, 1, 0, 1, 2, 0]
    assert joined.layers[0].h.shape == (6, 2, 2) and joined.inner.link == ()


def test_cat_of_selected_rows_is_the_whole() -> None:
    given = example(4)
    again = given.select(slice(0, 1)).cat(given.select([1, 2]), given.select([3]))
    assert all(torch.equal(leaf, given.flatten()[name]) for name, leaf in again.flatten().items())


def test_states_are_immutable() -> None:
    with pytest.raises(AttributeError):
        example().noise = 1  # type: ignore[misc]


def test_map_leaves_keeps_types_and_refuses_other_structures() -> None:
    mapped = map_leaves(torch.add, example(), example())
    assert type(mapped) is Outer and mapped.noise is None and mapped.inner.steps.tolist() == [0, 2, 4]
    with pytest.raises(ValueError):
        map_leaves(torch.add, (torch.zeros(1),), (torch.zeros(1), torch.zeros(1)))


VERBS = ["detach", "to", "clone", "reset", "select", "cat", "flatten", "unflatten"]


@pytest.mark.parametrize("name", ["count", "index", *VERBS])
def test_reserved_field_names_are_refused(name: str) -> None:
    undecorated = NamedTuple("Bad", [(name, Tensor), ("h", Tensor)])  # type: ignore[misc]
    with pytest.raises(TypeError, match=f"Bad has fields \\['{name}'\\].*rename"):
        state(undecorated)


def test_only_a_namedtuple_can_be_a_state() -> None:
    class Plain:
        h: Tensor

    with pytest.raises(TypeError, match=r"typing\.NamedTuple, but Plain is none"):
        state(Plain)


def test_registered_for_trees_and_for_safe_loading() -> None:
    leaves, spec = pytree.tree_flatten(example())
    assert type(pytree.tree_unflatten(leaves, spec)) is Outer
    stored = io.BytesIO()
    torch.save(example(), stored)
    stored.seek(0)
    loaded = torch.load(stored, weights_only=True)
    assert type(loaded) is Outer and torch.equal(loaded.inner.h, example().inner.h)
