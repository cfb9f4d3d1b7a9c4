"""The NTM's memory against an oracle in plain Python, in every order of reading and writing."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.memories.slow_dnc import slow_content, slow_read, slow_write
from torch import Tensor

from torchmann.core import OptionError
from torchmann.memories import NTMMemory, NTMState


def slow_address(head: dict[str, Any], previous: list[float], memory: list[list[float]]) -> list[float]:
    """Equations 5 to 9 for one head."""
    slots, taps = len(previous), len(head["shift"])
    content = slow_content(head["key"], head["strength"], memory)
    gated = [head["gate"] * c + (1 - head["gate"]) * p for c, p in zip(content, previous, strict=True)]
    shifted = [
        sum(head["shift"][tap] * gated[(slot - (tap - taps // 2)) % slots] for tap in range(taps))
        for slot in range(slots)
    ]
    powers = [value ** head["gamma"] for value in shifted]
    return [power / sum(powers) for power in powers]


def slow_turns(order: str, reads: int, writes: int) -> list[tuple[str, list[int]]]:
    """Which heads act on one memory, turn by turn."""
    together = [("read", list(range(reads))), ("write", list(range(writes)))]
    one_by_one = [(role, [n]) for n in range(max(reads, writes)) for role, heads in together if n in heads]
    return {"read_first": together, "write_first": together[::-1], "interleaved": one_by_one}[order]


def slow_step(order: str, heads: dict[str, list[dict[str, Any]]], state: dict[str, Any]) -> dict[str, Any]:
    """One step for one row; `heads` are those of each role, with activated fields."""
    memory, after = state["memory"], {"read_weights": [], "write_weights": [], "reads": []}
    for role, numbers in slow_turns(order, len(heads["read"]), len(heads["write"])):
        acting = [heads[role][n] for n in numbers]
        last = [state[f"{role}_weights"][n] for n in numbers]
        weights = [slow_address(head, previous, memory) for head, previous in zip(acting, last, strict=True)]
        after[f"{role}_weights"] += weights
        if role == "read":
            after["reads"] += [slow_read(memory, w) for w in weights]
        else:
            memory = slow_write(memory, weights, [h["erase"] for h in acting], [h["add"] for h in acting])
    return after | {"memory": memory}


@pytest.mark.parametrize("order", ["read_first", "write_first", "interleaved"])
@pytest.mark.parametrize("erase", ["separate", "coupled"])
@pytest.mark.parametrize(("reads", "writes"), [(1, 1), (3, 2), (1, 2)])
def test_step_equals_the_oracle(order: Any, erase: Any, reads: int, writes: int) -> None:
    memory = NTMMemory(5, 3, reads=reads, writes=writes, order=order, erase=erase, shift_range=2, dtype=torch.float64)
    rand = torch.rand(2, reads + writes, 5, dtype=torch.float64).softmax(-1)
    state = NTMState(torch.randn(2, 5, 3, dtype=torch.float64), rand[:, :reads], rand[:, reads:])
    interface_BS = 2 * torch.randn(2, memory.interface_size, dtype=torch.float64)
    vectors, after = memory(interface_BS, state)
    fields = dict(zip(("read", "write"), memory.heads(interface_BS), strict=True))
    for row in range(2):
        heads = {
            role: [{name: value[row, n].tolist() for name, value in given.items()} for n in range(count)]
            for (role, given), count in zip(fields.items(), (reads, writes), strict=True)
        }
        expected = slow_step(order, heads, {name: leaf[row].tolist() for name, leaf in state._asdict().items()})
        actual = after.select(row)._asdict() | {"reads": vectors[row].view(reads, 3)}
        for name, value in expected.items():
            torch.testing.assert_close(actual[name], torch.tensor(value, dtype=torch.float64), msg=name)


def test_fields_are_activated_as_the_paper_says() -> None:
    memory = NTMMemory(5, 3, reads=2, writes=1)
    raw = 3 * torch.randn(4, memory.interface_size)
    reads, writes = memory.heads(raw)
    assert memory.interface_size == 2 * (3 + 1 + 1 + 3 + 1) + (3 + 1 + 1 + 3 + 1 + 3 + 3)
    for heads in (reads, writes):
        assert (heads["strength"] > 0).all() and (heads["gamma"] >= 1).all()
        assert ((heads["gate"] > 0) & (heads["gate"] < 1)).all()
        torch.testing.assert_close(heads["shift"].sum(-1), torch.ones_like(heads["gate"]))
    assert ((writes["erase"] > 0) & (writes["erase"] < 1)).all()
    torch.testing.assert_close(reads["key"].flatten(1), raw[:, :6])
    torch.testing.assert_close(writes["add"].flatten(1), raw[:, -3:])


def test_held_steps_are_the_halves_of_a_whole_one() -> None:
    memory = NTMMemory(5, 3, reads=2, writes=2, order="write_first")
    interface_BS, state = torch.randn(2, memory.interface_size), memory.initial_state(2)
    reads, whole = memory(interface_BS, state)
    nothing, written = memory.only_write(interface_BS, state)
    assert nothing is None and written.read_weights is state.read_weights
    again, both = memory.only_read(interface_BS, written)
    torch.testing.assert_close((again, both.flatten()), (reads, whole.flatten()))
    _, looked = memory.only_read(interface_BS, state)
    assert looked.memory is state.memory and looked.write_weights is state.write_weights


def test_coupled_erase_forgets_what_it_writes_over() -> None:
    memory = NTMMemory(5, 3, erase="coupled")
    assert "write_erase" not in memory.write_fields
    interface_BS = torch.randn(2, memory.interface_size)
    state = memory.initial_state(2)
    _, after = memory(interface_BS, state)
    w_BN1 = after.write_weights.mT
    expected = w_BN1 * memory.heads(interface_BS)[1]["add"] + (1 - w_BN1) * state.memory
    torch.testing.assert_close(after.memory, expected)


STARTS: dict[str, tuple[dict[str, Any], str, Any]] = {
    "tanh memory": ({}, "memory", lambda memory: memory.initial_memory.weight.tanh()),
    "sigmoid memory": (
        {"initial_memory": "sigmoid"},
        "memory",
        lambda memory: memory.initial_memory.weight.sigmoid(),
    ),
    "learned memory": ({"initial_memory": "learned"}, "memory", lambda memory: memory.initial_memory.weight),
    "constant memory": ({"initial_memory": "constant"}, "memory", lambda _: torch.full((5, 3), 1e-6)),
    "random memory": ({"initial_memory": "random"}, "memory", lambda memory: memory.initial_memory.drawn),
    "softmax weights": ({}, "read_weights", lambda _: torch.arange(5, 0, -1.0).softmax(0).expand(2, 5)),
    "zero weights": ({"initial_weights": "constant"}, "write_weights", lambda _: torch.zeros(1, 5)),
}


@pytest.mark.parametrize("case", STARTS)
def test_start(case: str) -> None:
    options, leaf, expected = STARTS[case]
    memory = NTMMemory(5, 3, reads=2, **options)
    if hasattr(memory.initial_memory, "weight"):
        torch.nn.init.normal_(memory.initial_memory.weight)
    value: Tensor = getattr(memory.initial_state(4), leaf)
    torch.testing.assert_close(value, expected(memory).expand_as(value))


def test_random_start_is_drawn_once_and_small() -> None:
    memory = NTMMemory(5, 4, initial_memory="random", initial_reads="random")
    first, again = memory.initial_state(1).memory, memory.initial_state(1).memory
    assert torch.equal(first, again) and first.any() and first.abs().max() <= 1 / 3
    assert "initial_memory.drawn" in memory.state_dict(), "a fixed start is stored with the weights"
    assert memory.initial_reads(2).any() and memory.initial_reads(2).abs().max() <= 0.01


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": -2}, "width must be an integer of at least 1, got -2"),
        ({"shift_range": -1}, "shift_range must be at least 0, got -1"),
        ({"order": "read-first"}, "unknown order 'read-first': did you mean 'read_first'"),
        ({"erase": "separated"}, "unknown erase 'separated': did you mean 'separate'"),
        ({"initial_memory": "sigmoidal"}, "unknown kind of start 'sigmoidal': did you mean 'sigmoid'"),
    ],
)
def test_bad_option_is_refused_by_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        NTMMemory(**({"slots": 4, "width": 3} | options))
