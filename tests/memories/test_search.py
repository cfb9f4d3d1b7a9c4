"""Which slots are nearest: the exact search, equals, and faiss where it is installed and where it is not."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.invariants.strategies import tied_usage
from torch.func import vmap

import torchmann as tm
from torchmann.core import OptionError
from torchmann.functional import cosine
from torchmann.memories import SparseMemory
from torchmann.memories.search import ExactSearch, FaissSearch, largest, nearness, search_named

needs_faiss = pytest.mark.skipif(find_spec("faiss") is None, reason="the extra torchmann[faiss] is not installed")


@given(data=st.data(), slots=st.integers(1, 30))
def test_largest_with_equals_in_the_order_of_their_numbers(data: st.DataObject, slots: int) -> None:
    values = data.draw(tied_usage(slots))
    chosen = data.draw(st.integers(1, slots))
    expected = values.sort(dim=-1, descending=True, stable=True).indices[:, :chosen]
    assert torch.equal(largest(values, chosen), expected)


def test_largest_by_label() -> None:
    values, labels = torch.tensor([[0.5, 0.5, 0.1, 0.5]]), torch.tensor([[9, 3, 0, 4]])
    assert largest(values, 2, labels).tolist() == [[1, 3]] and largest(values, 2).tolist() == [[0, 1]]


def test_largest_passes_no_gradient_and_takes_infinities() -> None:
    values = torch.tensor([[0.0, -torch.inf, torch.inf, 0.0]], requires_grad=True)
    assert largest(values, 3).tolist() == [[2, 0, 3]] and not largest(values, 3).requires_grad


def test_exact_search_finds_the_most_similar_and_in_an_empty_memory_the_first() -> None:
    query, memory = torch.randn(2, 3, 4), torch.randn(2, 9, 4)
    assert torch.equal(ExactSearch(cosine)(query, memory, 2), cosine(query, memory).topk(2).indices)
    assert ExactSearch(cosine)(query, torch.zeros(2, 50, 4), 3).tolist() == [[[0, 1, 2]] * 3] * 2


def test_nearness_orders_as_the_distance() -> None:
    query, memory = torch.randn(2, 3, 4), torch.randn(2, 9, 4)
    distance = torch.cdist(query, memory)
    assert torch.equal(nearness(query, memory).argsort(-1), (-distance).argsort(-1))


@needs_faiss
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_faiss_finds_what_the_exact_search_finds(metric: str) -> None:
    query, memory = torch.randn(5, 3, 8), torch.randn(5, 200, 8)
    exact, faiss = (search_named(index, metric, cosine) for index in ("exact", "faiss"))  # type: ignore[arg-type]
    assert torch.equal(exact(query, memory, 6), faiss(query, memory, 6))
    assert faiss(query[:0], memory[:0], 6).shape == (0, 3, 6)


@needs_faiss
def test_faiss_under_vmap() -> None:
    search = FaissSearch()
    query, memory = torch.randn(2, 5, 3, 8), torch.randn(2, 20, 8)
    expected = torch.stack([search(query[:, block], memory, 2) for block in range(5)])
    assert torch.equal(vmap(lambda part: search(part, memory, 2), in_dims=1)(query), expected)


@needs_faiss
@pytest.mark.parametrize("variant", ["paper", "visible"])
def test_a_model_computes_the_same_with_faiss(variant: str) -> None:
    exact = tm.SAM(4, 6, slots=30, width=5, variant=variant, initial_value=0.0)
    faiss = tm.SAM(4, 6, slots=30, width=5, variant=variant, initial_value=0.0, index="faiss")
    faiss.load_state_dict(exact.state_dict())
    _, state = exact(torch.randn(3, 2, 4))
    memory = torch.randn_like(state.memory.memory)  # full, for in an empty one the order of equals is faiss's own
    state = state._replace(memory=state.memory._replace(memory=memory))
    x = torch.randn(5, 2, 4)
    torch.testing.assert_close(faiss(x, state)[0], exact(x, state)[0])


def test_without_faiss_only_what_asks_for_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(OptionError, match=r"index='faiss' needs the library faiss: pip install torchmann\[faiss\]"):
        SparseMemory(5, 4, index="faiss")
    assert tm.SAM(4, 6, slots=5, width=3)(torch.randn(2, 1, 4))[0].isfinite().all()


def test_importing_the_package_does_not_import_faiss() -> None:
    import subprocess

    code = "import sys; sys.modules['faiss'] = None; import torchmann; torchmann.memories.SparseMemory(5, 4)"
    subprocess.run([sys.executable, "-c", code], check=True)
