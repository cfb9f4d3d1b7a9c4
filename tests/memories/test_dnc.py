"""The DNC's memory against the oracle, its stop-gradient, and its sizes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.memories.slow_dnc import slow_step
from torch import Tensor

from torchmann.core import OptionError, Recorder, differentiable_form
from torchmann.memories import DNCMemory, DNCState

LEAVES = DNCState._fields


def random_state(memory: DNCMemory, batch: int) -> DNCState:
    """A state with everything in bounds: as after many steps."""

    def rand(*shape: int) -> Tensor:
        return torch.rand(batch, *shape, dtype=torch.float64)

    N, V = memory.slots, memory.writes
    return DNCState(
        memory=torch.randn(batch, N, memory.width, dtype=torch.float64),
        usage=rand(N),
        write_weights=0.9 * rand(V, N).softmax(-1),
        read_weights=rand(memory.reads, N).softmax(-1),
        precedence=0.8 * rand(V, N).softmax(-1),
        link=rand(V, N, N).tril(-1) / N,
    )


@pytest.mark.parametrize("writes", [1, 2, 3])
@pytest.mark.parametrize("reads", [1, 2])
@pytest.mark.parametrize("allocation", ["sorted", "softmax"])
def test_step_equals_the_oracle(allocation: Any, reads: int, writes: int) -> None:
    memory = DNCMemory(5, 3, reads=reads, writes=writes, allocation=allocation, dtype=torch.float64)
    state = random_state(memory, batch=2)
    for _ in range(3):
        interface_BS = 2 * torch.randn(2, memory.interface_size, dtype=torch.float64)
        vectors, after = memory(interface_BS, state)
        fields = memory.interface(interface_BS)
        for row in range(2):
            expected = slow_step(
                {name: value[row].tolist() for name, value in fields.items()},
                {name: value[row].tolist() for name, value in state._asdict().items()},
            )
            actual = after.select(row)._asdict() | {"reads": vectors[row].view(reads, -1)}
            for name, value in expected.items():
                torch.testing.assert_close(actual[name], torch.tensor(value, dtype=torch.float64), msg=name)
        state = after


def test_fields_are_activated_as_the_paper_says() -> None:
    memory = DNCMemory(4, 3, reads=2, writes=2)
    raw = torch.randn(5, memory.interface_size)
    fields = memory.interface(raw)
    sizes = [torch.Size(shape).numel() for shape in memory.fields.values()]
    pieces = dict(zip(memory.fields, raw.split(sizes, dim=1), strict=True))
    expected = {
        **{name: pieces[name] for name in ("read_key", "write_key", "write_vector")},
        **{name: 1 + pieces[name].exp().log1p() for name in ("read_strength", "write_strength")},
        **{name: pieces[name].sigmoid() for name in ("erase", "free_gate", "allocation_gate", "write_gate")},
        "read_mode": pieces["read_mode"].view(5, 2, 5).softmax(-1),
    }
    for name, value in expected.items():
        assert fields[name].shape == (5, *memory.fields[name])
        torch.testing.assert_close(fields[name], value.view_as(fields[name]))


def gradient_into_last_write(memory: DNCMemory, of: str) -> Tensor | None:
    state = random_state(memory, batch=2)
    state.write_weights.requires_grad_()
    _, after = memory(torch.randn(2, memory.interface_size, dtype=torch.float64), state)
    value = getattr(after, of)
    if not value.requires_grad:
        return None
    (gradient,) = torch.autograd.grad(value.square().sum(), state.write_weights, allow_unused=True)
    return gradient


@pytest.mark.parametrize("of", ["usage", "write_weights", "memory", "read_weights"])
def test_gradient_from_usage_into_the_last_write_is_cut(of: str) -> None:
    memory = DNCMemory(5, 3, dtype=torch.float64)
    assert gradient_into_last_write(memory, of) is None


@pytest.mark.parametrize("of", ["usage", "write_weights", "memory", "read_weights"])
def test_gradient_from_usage_passes_on_request_and_in_the_differentiable_form(of: str) -> None:
    cut = DNCMemory(5, 3, dtype=torch.float64)
    passing = DNCMemory(5, 3, usage_gradient=True, dtype=torch.float64)
    torch.manual_seed(1)
    on_request = gradient_into_last_write(passing, of)
    torch.manual_seed(1)
    with differentiable_form():
        in_form = gradient_into_last_write(cut, of)
    assert on_request is not None and on_request.any()
    torch.testing.assert_close(in_form, on_request, rtol=0, atol=0)
    assert gradient_into_last_write(cut, of) is None  # the form ends with its context


def test_usage_still_passes_the_gradient_of_the_free_gates() -> None:
    memory = DNCMemory(5, 3, dtype=torch.float64)
    interface_BS = torch.randn(2, memory.interface_size, dtype=torch.float64, requires_grad=True)
    used_BN = memory.used(memory.interface(interface_BS), random_state(memory, 2))
    (gradient,) = torch.autograd.grad(used_BN.sum(), interface_BS)
    assert gradient.any()


def test_held_steps_are_the_halves_of_a_whole_one() -> None:
    memory = DNCMemory(5, 3, reads=2, dtype=torch.float64)
    interface_BS = torch.randn(2, memory.interface_size, dtype=torch.float64)
    state = random_state(memory, 2)
    reads, whole = memory(interface_BS, state)
    nothing, written = memory.only_write(interface_BS, state)
    assert nothing is None and written.read_weights is state.read_weights
    again, both = memory.only_read(interface_BS, written)
    torch.testing.assert_close((again, both.flatten()), (reads, whole.flatten()))
    _, looked = memory.only_read(interface_BS, state)
    for name in set(LEAVES) - {"read_weights"}:
        assert getattr(looked, name) is getattr(state, name)


def test_heads_that_allocate_in_turn_take_different_slots() -> None:
    memory = DNCMemory(20, 3, writes=3, usage_floor=0.0)
    open_gates = {"allocation_gate": torch.ones(1, 3), "write_gate": torch.ones(1, 3)}
    allocation_VN = memory.allocation(torch.zeros(1, 20), open_gates)[0]
    assert allocation_VN.argmax(-1).tolist() == [0, 1, 2]
    shut_gates = {"allocation_gate": torch.zeros(1, 3), "write_gate": torch.ones(1, 3)}
    allocation_VN = memory.allocation(torch.zeros(1, 20), shut_gates)[0]
    assert allocation_VN.argmax(-1).tolist() == [0, 0, 0], "a head that does not allocate takes no slot away"


@pytest.mark.parametrize(("reads", "writes"), [(1, 1), (3, 1), (2, 2)])
def test_interface_has_the_size_of_the_paper(reads: int, writes: int) -> None:
    W, R = 6, reads
    per_write = 3 * W + 3
    expected = R * (W + 3 + 2 * writes) + writes * per_write
    assert DNCMemory(5, W, reads=reads, writes=writes).interface_size == expected
    if writes == 1:
        assert expected == W * R + 3 * W + 5 * R + 3
    assert DNCMemory(5, W, reads=reads, writes=writes, links=False).interface_size == expected - R * (1 + 2 * writes)
    assert DNCMemory(5, W, reads=reads, writes=writes, allocation="softmax").interface_size == expected + writes


def test_the_ways_that_a_read_head_mixes_are_recorded() -> None:
    memory = DNCMemory(5, 3, reads=2, writes=2, dtype=torch.float64)
    interface = torch.randn(4, memory.interface_size, dtype=torch.float64)
    with Recorder(memory) as recorder:
        memory(interface, random_state(memory, batch=4))
    ways = [recorder["backward_weights"], recorder["content_weights"].unsqueeze(3), recorder["forward_weights"]]
    mixed = torch.einsum("tbrm,tbrmn->tbrn", recorder["read_mode"], torch.cat(ways, dim=3))
    torch.testing.assert_close(recorder["read_weights"], mixed)


def test_memory_without_links_keeps_none() -> None:
    memory = DNCMemory(5, 3, links=False)
    state = memory.initial_state(2)
    _, after = memory(torch.randn(2, memory.interface_size), state)
    assert after.link == () and after.precedence == ()
    assert list(after.flatten()) == ["memory", "usage", "write_weights", "read_weights"]


def test_a_written_word_is_found_again_by_content_and_by_order() -> None:
    """Hand-set fields: write three words to fresh slots, look the second up by content, then step forward and back."""
    memory = DNCMemory(6, 3, usage_floor=0.0)
    words = torch.eye(3)
    fields = {
        "read_key": torch.zeros(1, 1, 3),
        "read_strength": torch.ones(1, 1),
        "write_key": torch.zeros(1, 1, 3),
        "write_strength": torch.ones(1, 1),
        "erase": torch.zeros(1, 1, 3),
        "write_vector": torch.zeros(1, 1, 3),
        "free_gate": torch.zeros(1, 1),
        "allocation_gate": torch.ones(1, 1),
        "write_gate": torch.ones(1, 1),
        "read_mode": torch.tensor([[[0.0, 1.0, 0.0]]]),
    }
    backward, content, forward = torch.eye(3).view(3, 1, 1, 3)

    def step(state: DNCState, **changed: Tensor) -> tuple[Tensor, DNCState]:
        memory.interface = lambda _: fields | changed  # type: ignore[method-assign]
        return memory(torch.empty(0), state)

    state = memory.initial_state(1)
    for word in words:
        _, state = step(state, write_vector=word.view(1, 1, 3))
    assert state.write_weights.argmax() == 2
    idle = {"write_gate": torch.zeros(1, 1)}
    strong = torch.full((1, 1), 50.0)
    second, state = step(state, read_key=words[1].view(1, 1, 3), read_strength=strong, read_mode=content, **idle)
    torch.testing.assert_close(second[0], words[1], atol=1e-4, rtol=0)
    third, state = step(state, read_mode=forward, **idle)
    torch.testing.assert_close(third[0], words[2], atol=1e-4, rtol=0)
    _, state = step(state, read_mode=backward, **idle)
    first, state = step(state, read_mode=backward, **idle)
    torch.testing.assert_close(first[0], words[0], atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"slots": 0}, "slots must be an integer of at least 1, got 0"),
        ({"reads": True}, "reads must be an integer of at least 1, got True"),
        ({"writes": 1.0}, r"writes must be an integer of at least 1, got 1\.0"),
        ({"strength": "one_plus"}, "unknown activation 'one_plus': did you mean 'oneplus'"),
        ({"similarity": "cosin"}, "unknown similarity 'cosin': did you mean 'cosine'"),
        ({"key_activation": "tahn"}, "did you mean 'tanh'"),
        ({"allocation": "sort"}, "unknown allocation 'sort': did you mean 'sorted'"),
        ({"read_mode_softmax": "head"}, "unknown read_mode_softmax 'head': did you mean 'heads'"),
    ],
)
def test_bad_option_is_refused_by_name(options: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        DNCMemory(**({"slots": 4, "width": 3} | options))
