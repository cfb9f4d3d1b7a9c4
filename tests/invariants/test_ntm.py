"""Whatever a controller emits, an NTM's weightings stay in the simplex; and location addressing by itself."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.invariants.strategies import interfaces

from torchmann.memories import NTMMemory

OPTIONS: dict[str, Any] = {
    "slots": st.integers(1, 20),
    "reads": st.integers(1, 3),
    "writes": st.integers(1, 3),
    "shift_range": st.integers(0, 2),
    "order": st.sampled_from(["read_first", "write_first", "interleaved"]),
    "erase": st.sampled_from(["separate", "coupled"]),
    "initial_weights": st.sampled_from(["softmax", "constant"]),
    "initial_memory": st.sampled_from(["tanh", "sigmoid", "constant", "random"]),
}


def differ(options: dict[str, Any]) -> bool:
    """Whether something tells the slots apart at the start; else the memory is refused."""
    return (options["initial_weights"], options["initial_memory"]) != ("constant", "constant")


@given(data=st.data(), options=st.fixed_dictionaries(OPTIONS).filter(differ))
def test_each_weighting_sums_to_one(data: st.DataObject, options: dict[str, Any]) -> None:
    memory = NTMMemory(width=4, **options)
    state = memory.initial_state(2)
    for interface_BS in data.draw(interfaces(memory.interface_size)):
        reads, state = memory(interface_BS, state)
        for weights in (state.read_weights, state.write_weights):
            assert (weights >= 0).all()
            torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:2]))
        assert reads.isfinite().all()


@given(data=st.data(), slots=st.integers(1, 20), order=OPTIONS["order"])
def test_gradients_are_finite_from_an_empty_memory(data: st.DataObject, slots: int, order: Any) -> None:
    memory = NTMMemory(slots, 4, order=order, initial_memory="learned", initial_weights="constant")
    torch.nn.init.zeros_(memory.initial_memory.weight)
    sequence = data.draw(interfaces(memory.interface_size)).requires_grad_()
    state, total = memory.initial_state(2), torch.zeros(())
    for interface_BS in sequence:
        vectors, state = memory(interface_BS, state)
        total = total + vectors.square().sum()
    for gradient in torch.autograd.grad(total, (sequence, memory.initial_memory.weight)):
        assert gradient.isfinite().all()


@given(slots=st.integers(2, 20), shift=st.integers(-1, 1), seed=st.integers(0, 2**32))
def test_location_alone_keeps_or_rotates_the_weighting(slots: int, shift: int, seed: int) -> None:
    """With the gate shut, a one-hot shift and an exponent of one, the weighting is rotated and nothing else."""
    generator = torch.Generator().manual_seed(seed)
    memory = NTMMemory(slots, 3)
    previous_BHN = torch.rand(2, 1, slots, generator=generator).softmax(-1)
    heads = {
        "key": torch.randn(2, 1, 3, generator=generator),
        "strength": torch.full((2, 1), 5.0),
        "gate": torch.zeros(2, 1),
        "shift": torch.nn.functional.one_hot(torch.full((2, 1), shift + 1), 3).float(),
        "gamma": torch.ones(2, 1),
    }
    contents_BNW = torch.randn(2, slots, 3, generator=generator)
    torch.testing.assert_close(memory.address(contents_BNW, previous_BHN, heads), previous_BHN.roll(shift, -1))


def test_heads_start_at_the_first_row() -> None:
    state = NTMMemory(128, 4, reads=2).initial_state(3)
    for weights in (state.read_weights, state.write_weights):
        expected = torch.tensor([0.6321, 0.2325, 0.0855]).expand(*weights.shape[:2], 3)
        torch.testing.assert_close(weights[..., :3], expected, atol=1e-4, rtol=0)
