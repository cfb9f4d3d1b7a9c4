"""Sparse access memory against the oracle, what it touches, what it keeps, and its errors."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.memories.slow_sparse import slow_sparse_step
from torch import Tensor

from torchmann.core import OptionError
from torchmann.functional import content_weighting, cosine, read
from torchmann.memories import SparseMemory, SparseState
from torchmann.memories.search import largest
from torchmann.memories.sparse import dense


def random_state(memory: SparseMemory, batch: int = 2) -> SparseState:
    """A state as after many steps, in float64."""
    N, K, R = memory.slots, memory.nearest, memory.reads
    order_BRN = torch.rand(batch, R, N).argsort(-1)
    return memory.initial_state(batch)._replace(
        memory=torch.randn(batch, N, memory.width, dtype=torch.float64),
        elapsed=torch.randint(0, 4, (batch, N)),
        read_slots=order_BRN[..., :K],
        read_values=torch.rand(batch, R, K, dtype=torch.float64).softmax(-1),
    )


def as_lists(state: SparseState, row: int, slots: int) -> dict[str, Any]:
    """One row of a state as the oracle takes it."""
    weights = dense(state.read_slots, state.read_values, slots)
    leaves = {"memory": state.memory, "elapsed": state.elapsed, "read_weights": weights}
    return {name: leaf[row].tolist() for name, leaf in leaves.items()}


def interface(memory: SparseMemory, batch: int = 2) -> Tensor:
    return 2 * torch.randn(batch, memory.interface_size, dtype=torch.float64)


@pytest.mark.parametrize("strength", ["oneplus", None])
@pytest.mark.parametrize("nearest", [1, 3, 6])
@pytest.mark.parametrize(("reads", "writes"), [(1, 1), (2, 1), (2, 2), (4, 2)])
def test_step_equals_the_oracle(reads: int, writes: int, nearest: int, strength: str | None) -> None:
    memory = SparseMemory(
        6, 3, reads=reads, writes=writes, nearest=nearest, strength=strength, delta=0.2, dtype=torch.float64
    )
    state = random_state(memory)
    for _ in range(3):
        interface_BS = interface(memory)
        vectors, after = memory(interface_BS, state)
        fields = memory.interface(interface_BS)
        for row in range(2):
            mine = {name: value[row].tolist() for name, value in fields.items()}
            expected = slow_sparse_step(mine, as_lists(state, row, 6), nearest, delta=0.2)
            actual = as_lists(after, row, 6) | {"reads": vectors[row].view(reads, -1).tolist()}
            assert actual["elapsed"] == expected["elapsed"]
            for name, value in expected.items():
                torch.testing.assert_close(torch.tensor(actual[name]), torch.tensor(value), msg=name)
        state = after


def test_with_all_slots_it_is_a_dense_softmax_read() -> None:
    memory = SparseMemory(6, 3, reads=2, nearest=6, dtype=torch.float64)
    interface_BS = interface(memory)
    vectors, after = memory(interface_BS, random_state(memory))
    fields = memory.interface(interface_BS)
    weights = content_weighting(cosine(fields["read_query"], after.memory), fields["read_strength"])
    torch.testing.assert_close(vectors, read(after.memory, weights).flatten(1))


def fields_of(memory: SparseMemory, **changed: Tensor) -> dict[str, Tensor]:
    """Fields that write a word of ones to a new slot, with some replaced."""
    return {
        "read_query": torch.ones(1, memory.reads, memory.width),
        "read_strength": torch.ones(1, memory.reads),
        "write_vector": torch.ones(1, memory.writes, memory.width),
        "write_gate": torch.ones(1, memory.writes),
        "interpolation_gate": torch.zeros(1, memory.writes),
    } | changed


def step(memory: SparseMemory, state: SparseState, **changed: Tensor) -> tuple[Tensor, SparseState]:
    memory.interface = lambda _: fields_of(memory, **changed)  # type: ignore[method-assign]
    return memory(torch.empty(0), state)


def test_slots_are_written_in_turn_and_the_least_recently_accessed_one_is_emptied() -> None:
    memory = SparseMemory(4, 2, nearest=1)
    state = memory.initial_state(1)
    for number in range(1, 5):
        word = torch.tensor([[[float(number), -1.0]]])
        _, state = step(memory, state, write_vector=word, read_query=word)
    assert state.memory[0, :, 0].tolist() == [1, 2, 3, 4] and state.elapsed.tolist() == [[3, 2, 1, 0]]
    _, state = step(memory, state, read_query=state.memory[:, :1], write_gate=torch.zeros(1, 1))
    assert not state.memory[0, 0].any(), "the erasing has no gate"
    assert state.memory[0, 1:, 0].tolist() == [2, 3, 4]


def test_what_was_read_is_not_the_next_to_be_overwritten() -> None:
    memory = SparseMemory(3, 2, nearest=1)
    state = memory.initial_state(1)
    words = torch.eye(2).view(2, 1, 1, 2)
    for word in words:
        _, state = step(memory, state, write_vector=word, read_query=word)
    _, state = step(memory, state, write_vector=-words[0], read_query=words[0])  # slot 2, and reads slot 0
    _, state = step(memory, state, write_vector=-words[1], read_query=-words[1])
    assert state.memory[0].tolist() == [[1, 0], [0, -1], [-1, 0]], "slot 1 went, slot 0 had just been read"


def test_a_full_interpolation_gate_updates_what_was_read() -> None:
    memory = SparseMemory(5, 2, reads=2, nearest=2)
    state = memory.initial_state(1)._replace(
        memory=torch.zeros(1, 5, 2),
        elapsed=torch.tensor([[0, 0, 0, 0, 7]]),
        read_slots=torch.tensor([[[0, 1], [1, 2]]]),
        read_values=torch.tensor([[[0.25, 0.75], [0.5, 0.5]]]),
    )
    _, after = step(memory, state, interpolation_gate=torch.ones(1, 1))
    torch.testing.assert_close(after.memory[0, :, 0], torch.tensor([0.125, 0.625, 0.25, 0, 0]))


def test_each_write_head_has_its_own_slot_and_its_own_read_heads() -> None:
    memory = SparseMemory(6, 2, reads=4, writes=2, nearest=1)
    state = memory.initial_state(1)._replace(
        elapsed=torch.tensor([[0, 3, 9, 0, 3, 0]]),
        read_slots=torch.tensor([[[0], [3], [5], [5]]]),
        read_values=torch.ones(1, 4, 1),
    )
    words = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    _, after = step(memory, state, write_vector=words, interpolation_gate=torch.full((1, 2), 0.5))
    expected = [[0.25, 0], [0, 0.5], [0.5, 0], [0.25, 0], [0, 0], [0, 0.5]]  # 2 and 1 are the oldest, 1 before 4
    torch.testing.assert_close(after.memory[0], torch.tensor(expected))


@pytest.mark.parametrize("slots", [3, 17, 64, 4096])
def test_equals_go_to_the_lower_slot(slots: int) -> None:
    memory = SparseMemory(slots, 4, nearest=3)
    _, state = memory(torch.randn(2, memory.interface_size), memory.initial_state(2)._replace())
    slots_read = state.read_slots.sort(-1).values
    assert (slots_read <= 3).all(), "but for the slot just written all are zero, so alike"


def test_a_hundred_thousand_steps_are_counted_exactly() -> None:
    memory = SparseMemory(4096, 2, nearest=1)
    elapsed = torch.full((1, 4096), 100_000)
    elapsed[0, 2000:] -= 1
    elapsed[0, 4000] += 2
    state = memory.initial_state(1)._replace(elapsed=elapsed)
    assert largest(state.elapsed, 2).tolist() == [[4000, 0]]
    _, after = memory(torch.zeros(1, memory.interface_size), state)
    assert after.elapsed.dtype == torch.int64 and after.elapsed[0, 3000] == 100_000


def test_held_steps() -> None:
    memory = SparseMemory(6, 3, reads=2, dtype=torch.float64)
    interface_BS, state = interface(memory), random_state(memory)
    reads, whole = memory(interface_BS, state)
    nothing, written = memory.only_write(interface_BS, state)
    assert nothing is None and written.read_slots is state.read_slots and written.read_values is state.read_values
    again, looked = memory.only_read(interface_BS, written)
    torch.testing.assert_close((again, looked.memory), (reads, whole.memory))
    torch.testing.assert_close((looked.read_slots, looked.read_values), (whole.read_slots, whole.read_values))
    _, only_looked = memory.only_read(interface_BS, state)
    assert only_looked.memory is state.memory


def kept_for_backward(slots: int, width: int = 8) -> int:
    """Bytes that a step keeps for its backward pass."""
    memory = SparseMemory(slots, width, reads=2)
    interface_BS = torch.randn(2, memory.interface_size, requires_grad=True)
    _, state = memory(interface_BS, memory.initial_state(2))
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        memory(interface_BS, state)[0].sum()
    return sum(kept.values())


def test_what_a_step_keeps_for_its_backward_pass_does_not_grow_with_the_slots() -> None:
    assert 0 < kept_for_backward(4096) == kept_for_backward(64)


def test_no_gradient_through_the_choice_and_through_all_else() -> None:
    memory = SparseMemory(6, 3, nearest=2, dtype=torch.float64)
    state, interface_BS = random_state(memory), interface(memory).requires_grad_()
    state = state._replace(memory=state.memory.requires_grad_(), read_values=state.read_values.requires_grad_())
    vectors, after = memory(interface_BS, state)
    into_interface, into_memory, into_values = torch.autograd.grad(
        vectors.square().sum(), (interface_BS, state.memory, state.read_values)
    )
    assert into_interface.any(0).all() and into_values.any()
    untouched = torch.ones(2, 6, dtype=torch.bool).scatter(1, after.read_slots[:, 0], False)
    assert not into_memory[untouched].any(), "a slot that is not read has no part in the read"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nearest": 0}, "nearest must be an integer of at least 1, got 0"),
        ({"nearest": 5}, "nearest must be at most slots = 4, got 5"),
        ({"reads": 5, "writes": 5}, "writes must be at most slots = 4, got 5"),
        ({"reads": 3, "writes": 2}, "reads must be a multiple of writes = 2, which share them out, got 3"),
        ({"index": "fais"}, "unknown index 'fais': did you mean 'faiss'"),
        ({"strength": "one_plus"}, "unknown activation 'one_plus': did you mean 'oneplus'"),
        ({"similarity": "cosin"}, "unknown similarity 'cosin': did you mean 'cosine'"),
    ],
)
def test_bad_option_is_refused_by_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        SparseMemory(**({"slots": 4, "width": 3} | options))
