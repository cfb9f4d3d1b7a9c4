"""Visible rows against the oracle, what follows from equal positions, and errors."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.memories.slow_visible import slow_visible_read, slow_visible_step
from torch import Tensor

from torchmann.core import OptionError, named_leaves
from torchmann.memories import VisibleMemory, VisibleState
from torchmann.memories.visible_links import replaced_at


def random_state(memory: VisibleMemory, batch: int = 2) -> VisibleState:
    """A state as after some steps, in float64; some slots are visible twice."""

    def rand(*shape: int) -> Tensor:
        return torch.rand(batch, *shape, dtype=torch.float64)

    N = memory.slots
    start = memory.initial_state(batch)
    links = start.links and start.links._replace(
        precedence=rand(memory.temporal.stop - memory.temporal.start).softmax(-1),
        forward=rand(*start.links.forward.shape[1:]),
        backward=rand(*start.links.backward.shape[1:]),
    )
    return start._replace(
        memory=rand(N, memory.width) - 0.5,
        positions=torch.randint(0, N, start.positions.shape),
        read_weights=rand(N).softmax(-1),
        write_weights=rand(N).softmax(-1),
        usage=torch.randint(0, 5, (batch, N)),
        steps=torch.full((batch,), 5),
        links=links,
    )


def as_lists(state: VisibleState, row: int) -> dict[str, Any]:
    """One row of a state as the oracle takes it."""
    return {name.split(".")[-1]: leaf[row].tolist() for name, leaf in named_leaves(state) if name != "positions"}


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("strength", [None, "oneplus"])
@pytest.mark.parametrize(("reads", "nearest", "entries"), [(1, 1, None), (2, 3, None), (1, 2, 1), (2, 2, 3)])
def test_step_equals_the_oracle(
    reads: int, nearest: int, entries: int | None, strength: str | None, first: bool
) -> None:
    memory = VisibleMemory(
        7, 3, reads=reads, nearest=nearest, link_entries=entries, strength=strength, delta=0.2, dtype=torch.float64
    )
    state = random_state(memory)
    state = state._replace(steps=state.steps * (0 if first else 1))
    for _ in range(4):
        interface_BS = 2 * torch.randn(2, memory.interface_size, dtype=torch.float64)
        vectors, after = memory(interface_BS, state)
        fields = memory.interface(interface_BS)
        for row in range(2):
            mine = {name: value[row].tolist() for name, value in fields.items()}
            before, now = state.positions[row].tolist(), after.positions[row].tolist()
            expected = slow_visible_step(mine, as_lists(state, row), before, nearest, 0.2, entries or 0)
            sizes = [nearest] * reads + [entries] * 2 * (entries is not None) + [1]
            groups = after.positions[row].split(sizes)
            assert [group.tolist() for group in groups] == expected.pop("found")
            expected |= slow_visible_read(mine, expected["memory"], now)
            actual = as_lists(after, row) | {"reads": vectors[row].view(reads, -1).tolist()}
            assert actual.keys() == expected.keys()
            for name, value in expected.items():
                torch.testing.assert_close(torch.tensor(actual[name]), torch.tensor(value), msg=name)
        state = after


def test_of_equal_positions_the_last_one_counts_forward_and_backward() -> None:
    values = torch.zeros(1, 4, 2)
    new = torch.arange(1.0, 7.0).view(1, 3, 2).requires_grad_()
    after = replaced_at(values, torch.tensor([[2, 0, 2]]), new)
    assert after.tolist() == [[[3, 4], [0, 0], [5, 6], [0, 0]]]
    (gradient,) = torch.autograd.grad(after.sum(), new)
    assert gradient.tolist() == [[[0, 0], [1, 1], [1, 1]]]


def test_it_starts_just_above_zero_with_the_first_slots_visible() -> None:
    memory = VisibleMemory(5, 3, reads=2, nearest=1, link_entries=2)
    state = memory.initial_state(2)
    for leaf in (state.memory, state.read_weights, state.write_weights, memory.initial_reads(2)):
        assert (leaf == 0.005).all()
    assert state.positions.tolist() == [[0, 1, 2, 3, 4, 4, 4]] * 2, "2 found, 4 by links, the least used; five slots"
    assert not state.usage.any() and not any(leaf.any() for leaf in state.links.flatten().values())


@pytest.mark.parametrize("entries", [None, 2])
def test_interface_has_the_size_of_the_code(entries: int | None) -> None:
    reads, nearest, width = 4, 4, 6
    visible = reads * nearest + 2 * (entries or 0) + 1
    memory = VisibleMemory(32, width, reads=reads, nearest=nearest, link_entries=entries)
    assert memory.interface_size == reads * width + width + visible + 1
    assert memory.initial_state(1).positions.shape == (1, visible)
    assert VisibleMemory(32, 6, reads=4, link_entries=4).visible == 25


def test_held_steps_are_the_halves_of_a_whole_one() -> None:
    memory = VisibleMemory(7, 3, reads=2, nearest=2, link_entries=2, dtype=torch.float64)
    interface_BS, state = torch.randn(2, memory.interface_size, dtype=torch.float64), random_state(memory)
    reads, whole = memory(interface_BS, state)
    nothing, written = memory.only_write(interface_BS, state)
    assert nothing is None and written.positions is state.positions
    again, both = memory.only_read(interface_BS, written)
    torch.testing.assert_close((again, both.flatten()), (reads, whole.flatten()))
    assert memory.only_read(interface_BS, state)[1].memory is state.memory


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nearest": 5}, "nearest must be at most slots = 4, got 5"),
        ({"link_entries": 0}, "link_entries must be an integer of at least 1, got 0"),
        ({"link_entries": 5}, "link_entries must be at most slots = 4, got 5"),
        ({"strength": "one_plus"}, "unknown activation 'one_plus': did you mean 'oneplus'"),
        ({"index": "exakt"}, "unknown index 'exakt': did you mean 'exact'"),
    ],
)
def test_bad_option_is_refused_by_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        VisibleMemory(**({"slots": 4, "width": 3} | options))
