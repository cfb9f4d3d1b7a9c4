"""The sparse DNC against the oracle: its links, what follows from them, and what is left without them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.memories.slow_sparse import slow_sparse_step
from torch import Tensor

from torchmann.core import OptionError
from torchmann.functional import backward_weighting, forward_weighting, precedence, temporal_link
from torchmann.memories import SparseDNCMemory, SparseMemory, SparseState
from torchmann.memories.sparse import dense
from torchmann.memories.sparse_links import SparseRows, directional_weighting, updated_links, with_added


def random_rows(*shape: int, slots: int, entries: int, weight: float) -> SparseRows:
    """Sparse rows at random slots, the values of each summing to `weight`."""
    order = torch.rand(*shape, slots).argsort(-1)
    return SparseRows(order[..., :entries], weight * torch.rand(*shape, entries, dtype=torch.float64).softmax(-1))


def without_diagonal(rows: SparseRows) -> SparseRows:
    own = torch.arange(rows.slots.shape[-2]).unsqueeze(-1)
    return rows._replace(values=rows.values.masked_fill(rows.slots == own, 0))


def random_state(memory: SparseDNCMemory, batch: int = 2) -> SparseState:
    """A state as after many steps, in float64."""
    N, V, E = memory.slots, memory.writes, memory.link_entries
    start = memory.initial_state(batch)
    read = random_rows(batch, memory.reads, slots=N, entries=memory.nearest, weight=0.9)
    links = start.links._replace(
        precedence=random_rows(batch, V, slots=N, entries=E, weight=0.8),
        forward=without_diagonal(random_rows(batch, V, N, slots=N, entries=E, weight=0.7)),
        backward=without_diagonal(random_rows(batch, V, N, slots=N, entries=E, weight=0.7)),
    )
    return start._replace(
        memory=torch.randn(batch, N, memory.width, dtype=torch.float64),
        elapsed=torch.randint(0, 4, (batch, N)),
        read_slots=read.slots,
        read_values=read.values,
        links=links,
    )


def as_lists(state: SparseState, row: int, slots: int) -> dict[str, Any]:
    """One row of a state as the oracle takes it."""
    leaves = {
        "memory": state.memory,
        "elapsed": state.elapsed,
        "read_weights": dense(state.read_slots, state.read_values, slots),
    }
    leaves |= {name: dense(*rows, slots) for name, rows in state.links._asdict().items()}
    return {name: leaf[row].tolist() for name, leaf in leaves.items()}


def interface(memory: SparseMemory, batch: int = 2) -> Tensor:
    return 2 * torch.randn(batch, memory.interface_size, dtype=torch.float64)


@pytest.mark.parametrize("rule", ["one_factor", "dnc"])
@pytest.mark.parametrize(("nearest", "entries"), [(6, 6), (3, 2), (1, 4)])
@pytest.mark.parametrize(("reads", "writes"), [(1, 1), (2, 1), (2, 2)])
def test_step_equals_the_oracle(reads: int, writes: int, nearest: int, entries: int, rule: Any) -> None:
    memory = SparseDNCMemory(
        6, 3, reads=reads, writes=writes, nearest=nearest, link_entries=entries, link_rule=rule, dtype=torch.float64
    )
    state = random_state(memory)
    for _ in range(4):
        interface_BS = interface(memory)
        vectors, after = memory(interface_BS, state)
        fields = memory.interface(interface_BS)
        for row in range(2):
            mine = {name: value[row].tolist() for name, value in fields.items()}
            lists = as_lists(state, row, 6)
            expected = slow_sparse_step(mine, lists, nearest, delta=0.005, entries=entries, rule=rule)
            actual = as_lists(after, row, 6) | {"reads": vectors[row].view(reads, -1).tolist()}
            for name, value in expected.items():
                torch.testing.assert_close(torch.tensor(actual[name]), torch.tensor(value), msg=name)
        state = after


@pytest.mark.parametrize("rule", ["one_factor", "dnc"])
def test_with_all_entries_the_links_are_those_of_a_dense_matrix(rule: Any) -> None:
    """Both directions are then one matrix and its transpose; with both factors it is the DNC's."""
    N, V = 5, 2
    memory = SparseDNCMemory(N, 3, reads=V, writes=V, nearest=2, link_entries=N, dtype=torch.float64)
    links = memory.initial_state(3).links
    link = torch.zeros(3, V, N, N, dtype=torch.float64)
    last = torch.zeros(3, V, N, dtype=torch.float64)
    for _ in range(6):
        written = 0.9 * torch.randn(3, V, N, dtype=torch.float64).mul(2).softmax(-1)
        links = updated_links(links, written, N, rule)
        if rule == "dnc":
            link = temporal_link(link, last, written)
        else:
            link = torch.lerp(link, last.unsqueeze(-2), written.unsqueeze(-1))
            link = link.tril(-1) + link.triu(1)
        last = precedence(last, written)
        torch.testing.assert_close(dense(*links.precedence, N), last)
        torch.testing.assert_close(dense(*links.forward, N), link)
        torch.testing.assert_close(dense(*links.backward, N), link.mT)
    read = torch.rand(3, 4, N, dtype=torch.float64).softmax(-1)
    for rows, way in (
        (links.forward, forward_weighting(link, read)),
        (links.backward, backward_weighting(link, read)),
    ):
        torch.testing.assert_close(directional_weighting(rows, read), way / way.sum(-1, keepdim=True).clamp_min(1))


def test_an_unwritten_memory_has_no_direction() -> None:
    memory = SparseDNCMemory(5, 3, reads=2, nearest=2, link_entries=3)
    state = memory.initial_state(2)
    for rows in state.links[1:]:
        assert not directional_weighting(rows, torch.rand(2, 2, 5)).any()
    _, after = memory.only_read(torch.randn(2, memory.interface_size), state)
    for rows in after.links[1:]:
        assert not directional_weighting(rows, torch.rand(2, 2, 5)).any()


def test_without_its_links_it_is_the_sparse_access_memory() -> None:
    sparse = SparseMemory(6, 3, reads=2, nearest=3, dtype=torch.float64)
    linked = SparseDNCMemory(6, 3, reads=2, nearest=3, link_entries=2, dtype=torch.float64)
    by_content = torch.full((2, 2, 3), -50.0, dtype=torch.float64)
    by_content[..., 1] = 50.0
    state = random_state(linked)
    plain = state._replace(links=())
    for _ in range(4):
        common = interface(sparse)
        reads, state = linked(torch.cat([common, by_content.flatten(1)], dim=1), state)
        expected, plain = sparse(common, plain)
        torch.testing.assert_close(reads, expected)
        torch.testing.assert_close((state.memory, state.elapsed), (plain.memory, plain.elapsed))


def test_words_are_found_again_by_the_order_of_writing() -> None:
    """Hand-set fields: write three words, look the second up by content, then step forward and back."""
    memory = SparseDNCMemory(8, 3, nearest=1, link_entries=2)
    words = torch.eye(3)
    backward, content, forward = torch.eye(3).view(3, 1, 1, 3)

    def step(state: SparseState, query: Tensor, mode: Tensor, word: Tensor | None = None) -> tuple[Tensor, SparseState]:
        memory.interface = lambda _: {  # type: ignore[method-assign]
            "read_query": query.view(1, 1, 3),
            "read_strength": torch.ones(1, 1),
            "read_mode": mode,
            "write_vector": torch.zeros(1, 1, 3) if word is None else word.view(1, 1, 3),
            "write_gate": torch.zeros(1, 1) if word is None else torch.ones(1, 1),
            "interpolation_gate": torch.zeros(1, 1),
        }
        return memory(torch.empty(0), state)

    state = memory.initial_state(1)
    for word in words:
        _, state = step(state, word, content, word)
    second, state = step(state, words[1], content)
    third, state = step(state, words[0], forward)
    _, state = step(state, words[0], backward)
    first, state = step(state, words[2], backward)
    torch.testing.assert_close(torch.cat([first, second, third]), words)


def test_adding_to_a_row_keeps_the_largest_and_of_equals_the_lower_slot() -> None:
    row = SparseRows(torch.tensor([[7, 2, 5]]), torch.tensor([[0.3, 0.0, 0.2]]))
    after = with_added(row, torch.tensor([[5, 1, 0]]), torch.tensor([[0.2, 0.35, 0.3]]))
    torch.testing.assert_close(dense(*after, 8), torch.tensor([[0.3, 0.35, 0, 0, 0, 0.4, 0, 0]]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"link_entries": 0}, "link_entries must be an integer of at least 1, got 0"),
        ({"link_entries": 9}, "link_entries must be at most slots = 8, got 9"),
        ({"link_rule": "one_facto"}, "unknown link_rule 'one_facto': did you mean 'one_factor'"),
        ({"nearest": 9}, "nearest must be at most slots = 8, got 9"),
    ],
)
def test_bad_option_is_refused_by_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        SparseDNCMemory(8, 3, **options)
