"""Whatever a controller emits, a history of slots fills up in order and then changes only where it was read."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.invariants.strategies import interfaces

from torchmann.core import draw_noise
from torchmann.memories import AutoAddressing, SlotHistory, SlotHistoryNoise, TardisAddressing

W = 3
STEPS = st.integers(1, 12)
TARDIS: dict[str, Any] = {
    "normalisation": st.sampled_from(["none", "l2", "layer_norm"]),
    "order": st.sampled_from(["normalise_first", "penalise_first"]),
    "temperature": st.sampled_from([0.02, 1.0, 5.0]),
}


@st.composite
def histories(draw: st.DrawFn, least: int = 1) -> SlotHistory:
    slots = draw(st.integers(least, 6))
    if draw(st.booleans()):
        return SlotHistory(slots, W)
    options = {name: draw(strategy) for name, strategy in TARDIS.items()}
    return SlotHistory(slots, W, addressing=TardisAddressing(slots, W, query_size=2, key_size=2, **options))


def run(memory: SlotHistory, sequence: Any, noisy: bool) -> list[Any]:
    """The states, from the initial one on."""
    state, noise = memory.initial_state(2), None
    if noisy:
        noise = draw_noise(memory.noise_spec(2), len(sequence), generator=None, like=sequence)
    states = [state]
    for t, interface in enumerate(sequence):
        drawn = None if noise is None else SlotHistoryNoise(noise.address[t])
        states.append(memory(interface, states[-1], drawn)[1])
    return states


@settings(max_examples=40)
@given(data=st.data(), memory=histories(), steps=STEPS, noisy=st.booleans())
def test_slots_are_filled_in_order_and_then_replaced_where_read(
    data: st.DataObject, memory: SlotHistory, steps: int, noisy: bool
) -> None:
    number = torch.arange(1.0, steps + 1).view(-1, 1, 1)  # no entry is like another, or like an empty slot
    sequence = data.draw(interfaces(memory.interface_size, steps)) + number
    states = run(memory, sequence, noisy)
    for t, (before, after) in enumerate(pairwise(states)):
        changed = (before.memory != after.memory).any(-1)
        read = after.read_weights.squeeze(1)
        for row in range(2):
            expected = t if t < memory.slots else int(read[row].argmax())
            assert changed[row].nonzero().flatten().tolist() == [expected]
        assert (after.filled == min(t + 1, memory.slots)).all()


@settings(max_examples=40)
@given(data=st.data(), memory=histories(), steps=STEPS, noisy=st.booleans())
def test_each_read_is_of_one_slot_and_is_counted(
    data: st.DataObject, memory: SlotHistory, steps: int, noisy: bool
) -> None:
    states = run(memory, data.draw(interfaces(memory.interface_size, steps)), noisy)
    for state in states[1:]:
        assert ((state.read_weights == 0) | (state.read_weights == 1)).all()
        assert (state.read_weights.sum(-1) == 1).all()
    if memory.addressing.counts_reads:
        assert (states[-1].usage.sum(-1) == steps).all()


@settings(max_examples=40)
@given(data=st.data(), steps=STEPS, slots=st.integers(2, 6), noisy=st.booleans())
def test_the_penalty_never_lets_a_slot_be_read_twice_running(
    data: st.DataObject, steps: int, slots: int, noisy: bool
) -> None:
    addressing = TardisAddressing(slots, W, query_size=2, key_size=2)
    memory = SlotHistory(slots, W, addressing=addressing)
    states = run(memory, data.draw(interfaces(memory.interface_size, steps)), noisy)
    reads = torch.stack([state.read_weights.squeeze(1) for state in states])
    assert not (reads[1:] * reads[:-1]).any()


@settings(max_examples=20)
@given(data=st.data(), slots=st.integers(1, 6), temperature=st.sampled_from([0.02, 1.0]))
def test_gradients_are_finite_at_the_last_temperature(data: st.DataObject, slots: int, temperature: float) -> None:
    for addressing in (
        AutoAddressing(slots, temperature=temperature),
        TardisAddressing(slots, W, query_size=2, key_size=2, temperature=temperature),
    ):
        memory = SlotHistory(slots, W, addressing=addressing, initial_memory="learned")
        sequence = data.draw(interfaces(memory.interface_size, 8)).requires_grad_()
        states = run(memory, sequence, True)
        total = states[-1].memory.square().sum() + states[-1].read_weights.square().sum()
        wanted = [sequence, *memory.parameters()]
        for gradient in torch.autograd.grad(total, wanted, allow_unused=True):
            assert gradient is None or gradient.isfinite().all()
