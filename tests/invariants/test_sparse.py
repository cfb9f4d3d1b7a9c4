"""Whatever a controller emits, sparse memories touch few slots and keep their weightings and links in bounds."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.invariants.strategies import interfaces

from torchmann.memories import SparseDNCMemory, SparseMemory, SparseState, VisibleMemory

SLACK = 1e-5


@given(data=st.data(), writes=st.integers(1, 2), share=st.integers(1, 2), nearest=st.integers(1, 3))
@settings(max_examples=25)
def test_few_rows_change_and_weights_stay_in_the_simplex(
    data: st.DataObject, writes: int, share: int, nearest: int
) -> None:
    memory = SparseMemory(12, 3, reads=writes * share, writes=writes, nearest=nearest)
    state = memory.initial_state(2)
    for interface_BS in data.draw(interfaces(memory.interface_size)):
        vectors, after = memory(interface_BS, state)
        changed = (after.memory != state.memory).any(-1).sum(-1)
        assert (changed <= memory.reads * nearest + writes).all() and vectors.isfinite().all()
        assert (after.read_values >= 0).all() and (after.read_slots.sort(-1).values.diff(dim=-1) > 0).all()
        torch.testing.assert_close(after.read_values.sum(-1), torch.ones(2, memory.reads))
        state = after


def sparse_enough(state: SparseState, memory: SparseDNCMemory) -> None:
    for rows in state.links:
        assert rows.values.shape[-1] == memory.link_entries and (rows.values >= -SLACK).all()
        assert (rows.slots.sort(-1).values.diff(dim=-1) > 0).all(), "a slot stands in a row once"
    for rows in (state.links.forward, state.links.backward):
        own = torch.arange(memory.slots).unsqueeze(-1)
        assert not rows.values[rows.slots == own].any() and (rows.values <= 1 + SLACK).all()
    assert (state.links.precedence.values.sum(-1) <= 1 + SLACK).all()
    assert (state.read_values >= -SLACK).all() and (state.read_values.sum(-1) <= 1 + SLACK).all()


@given(data=st.data(), heads=st.sampled_from([(1, 1), (2, 1), (2, 2)]), entries=st.integers(1, 4))
@settings(max_examples=20)
def test_rows_stay_sparse_and_weights_bounded(data: st.DataObject, heads: tuple[int, int], entries: int) -> None:
    reads, writes = heads
    memory = SparseDNCMemory(9, 3, reads=reads, writes=writes, nearest=2, link_entries=entries)
    state = memory.initial_state(2)
    for interface_BS in data.draw(interfaces(memory.interface_size)):
        vectors, state = memory(interface_BS, state)
        sparse_enough(state, memory)
        assert vectors.isfinite().all()


def test_weights_stay_bounded_over_hundreds_of_steps_on_few_slots() -> None:
    """Where columns of the links would grow without limit."""
    memory = SparseDNCMemory(4, 3, reads=2, nearest=4, link_entries=4)
    state = memory.initial_state(2)
    for _ in range(300):
        _, state = memory(3 * torch.randn(2, memory.interface_size), state)
        sparse_enough(state, memory)


@given(data=st.data(), reads=st.integers(1, 2), entries=st.sampled_from([None, 1, 3]))
@settings(max_examples=20)
def test_reads_are_weightings_of_the_visible_rows(data: st.DataObject, reads: int, entries: int | None) -> None:
    memory = VisibleMemory(6, 3, reads=reads, nearest=2, link_entries=entries)
    state = memory.initial_state(2)
    for interface_BS in data.draw(interfaces(memory.interface_size)):
        vectors, after = memory(interface_BS, state)
        changed = (after.memory != state.memory).any(-1)
        visible = torch.zeros(2, 6, dtype=torch.bool).scatter(1, state.positions, True)
        assert not (changed & ~visible).any(), "only visible rows are written"
        assert vectors.isfinite().all()
        rows = after.memory.gather(1, after.positions.unsqueeze(-1).expand(-1, -1, 3))
        low, high = rows.amin(1), rows.amax(1)
        for vector in vectors.view(2, reads, 3).unbind(1):
            assert (vector >= low - 1e-4).all() and (vector <= high + 1e-4).all()
        if reads == 1 and entries is None and after.positions.sort(-1).values.diff(dim=-1).gt(0).all():
            torch.testing.assert_close(after.read_weights.sum(-1), torch.ones(2))
        state = after
