"""Whatever a controller emits, a DNC's memory keeps its weightings, usage and links in their bounds."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.invariants.strategies import interfaces

from torchmann.functional.content import SIMILARITIES
from torchmann.memories import DNCMemory, DNCState

SLACK = 1e-5
SIZES: dict[str, Any] = {
    "slots": st.integers(1, 20),
    "reads": st.integers(1, 3),
    "writes": st.integers(1, 3),
    "allocation": st.sampled_from(["sorted", "softmax"]),
    "initial_value": st.sampled_from([0.0, 1e-6]),
    "similarity": st.sampled_from(sorted(SIMILARITIES)),
    "usage_floor": st.sampled_from([0.0, 1e-6]),
}


def in_bounds(state: DNCState) -> None:
    for name in ("write_weights", "read_weights", "precedence"):
        weights = getattr(state, name)
        assert (weights >= -SLACK).all() and (weights.sum(-1) <= 1 + SLACK).all(), name
    assert (state.usage >= -SLACK).all() and (state.usage <= 1 + SLACK).all()
    link = state.link
    assert (link >= -SLACK).all() and (link <= 1 + SLACK).all()
    assert (link.sum(-1) <= 1 + SLACK).all() and (link.sum(-2) <= 1 + SLACK).all()
    assert not link.diagonal(dim1=-2, dim2=-1).any()


@given(data=st.data(), options=st.fixed_dictionaries(SIZES))
def test_weightings_usage_and_links(data: st.DataObject, options: dict[str, Any]) -> None:
    memory = DNCMemory(width=4, **options)
    state = memory.initial_state(2)
    for interface_BS in data.draw(interfaces(memory.interface_size)):
        reads, state = memory(interface_BS, state)
        in_bounds(state)
        assert reads.isfinite().all()


@given(data=st.data(), slots=st.integers(1, 20), reads=st.integers(1, 3))
def test_reads_without_links_are_in_the_simplex(data: st.DataObject, slots: int, reads: int) -> None:
    memory = DNCMemory(slots, 4, reads=reads, links=False)
    state = memory.initial_state(2)
    for interface_BS in data.draw(interfaces(memory.interface_size)):
        _, state = memory(interface_BS, state)
        assert (state.read_weights >= 0).all()
        torch.testing.assert_close(state.read_weights.sum(-1), torch.ones(2, reads))


@given(data=st.data(), slots=st.integers(1, 33), reads=st.integers(1, 3))
def test_gradients_are_finite_from_an_empty_memory(data: st.DataObject, slots: int, reads: int) -> None:
    memory = DNCMemory(slots, 4, reads=reads)
    sequence = data.draw(interfaces(memory.interface_size)).requires_grad_()
    state = memory.initial_state(2)
    state = state._replace(memory=state.memory.requires_grad_())
    start, total = state.memory, torch.zeros(())
    for interface_BS in sequence:
        vectors, state = memory(interface_BS, state)
        total = total + vectors.square().sum()
    for gradient in torch.autograd.grad(total, (sequence, start)):
        assert gradient.isfinite().all()
