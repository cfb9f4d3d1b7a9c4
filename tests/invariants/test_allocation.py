"""Sorted allocation against an oracle in plain Python, with ties."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from tests.invariants.strategies import tensors, tied_usage, weightings
from tests.memories.slow_dnc import slow_allocation
from torch import Tensor

from torchmann.functional import retention, softmax_allocation, sorted_allocation, usage

FLOORS = st.sampled_from([0.0, 1e-6, 1e-2])


@given(data=st.data(), slots=st.integers(1, 24), floor=FLOORS)
def test_equals_the_oracle(data: st.DataObject, slots: int, floor: float) -> None:
    usage_BN = data.draw(tensors(2, slots, dtype=np.float64))
    expected = torch.tensor([slow_allocation(row, floor) for row in usage_BN.tolist()], dtype=torch.float64)
    torch.testing.assert_close(sorted_allocation(usage_BN, floor), expected)


@given(data=st.data(), slots=st.integers(17, 128), floor=FLOORS)
def test_ties_go_to_the_lower_slot(data: st.DataObject, slots: int, floor: float) -> None:
    usage_BN = data.draw(tied_usage(slots))
    expected = torch.tensor([slow_allocation(row, floor) for row in usage_BN.tolist()])
    torch.testing.assert_close(sorted_allocation(usage_BN, floor), expected)


@given(slots=st.integers(17, 128), level=st.sampled_from([0.0, 0.25, 0.5]))
@example(slots=17, level=0.0)
@example(slots=128, level=0.0)
def test_all_slots_alike_fill_from_the_first(slots: int, level: float) -> None:
    allocation_N = sorted_allocation(torch.full((1, slots), level), 0.0)[0]
    expected = (1 - level) * level ** torch.arange(slots)
    torch.testing.assert_close(allocation_N, expected)


@given(data=st.data(), slots=st.integers(1, 64))
def test_allocates_what_is_free(data: st.DataObject, slots: int) -> None:
    usage_BN: Tensor = data.draw(tensors(3, slots))
    allocation_BN = sorted_allocation(usage_BN, 0.0)
    torch.testing.assert_close(allocation_BN.sum(-1), 1 - usage_BN.prod(-1), atol=1e-5, rtol=1e-5)
    assert (allocation_BN >= 0).all() and (allocation_BN <= 1).all()


@given(data=st.data(), slots=st.integers(1, 24), strength=st.floats(1, 1e4))
def test_softmax_allocation_is_in_the_simplex_and_prefers_the_free(
    data: st.DataObject, slots: int, strength: float
) -> None:
    usage_BN = data.draw(tensors(2, slots))
    allocation_BN = softmax_allocation(usage_BN, torch.full((2,), strength))
    assert (allocation_BN >= 0).all()
    torch.testing.assert_close(allocation_BN.sum(-1), torch.ones(2))
    order = usage_BN.argsort(-1)
    assert (allocation_BN.gather(-1, order).diff(dim=-1) <= 1e-6).all()


@given(seed=st.integers(0, 2**32), slots=st.integers(2, 24))
def test_both_rules_pick_the_least_used_slot(seed: int, slots: int) -> None:
    usage_BN = torch.randperm(slots, generator=torch.Generator().manual_seed(seed)).unsqueeze(0) / slots
    least = usage_BN.argmin(-1)
    strong = softmax_allocation(usage_BN, torch.full((1,), 1e5))
    assert strong[0, least] > 0.999
    assert sorted_allocation(usage_BN)[0, least] > 0.999


@given(data=st.data(), slots=st.integers(1, 12), heads=st.integers(1, 3))
def test_usage_and_retention_stay_in_the_unit_interval(data: st.DataObject, slots: int, heads: int) -> None:
    retention_BN = retention(data.draw(tensors(2, heads)), data.draw(weightings(2, heads, slots)))
    used_BN = usage(data.draw(tensors(2, slots)), data.draw(weightings(2, heads, slots)), retention_BN)
    for value in (retention_BN, used_BN):
        assert (value >= 0).all() and (value <= 1 + 1e-6).all()


@given(slots=st.sampled_from([1, 5, 17, 64]), level=st.sampled_from([0.0, 1.0]))
def test_gradient_is_finite_where_all_is_free_or_full(slots: int, level: float) -> None:
    usage_BN = torch.full((1, slots), level, requires_grad=True)
    (gradient,) = torch.autograd.grad(sorted_allocation(usage_BN).square().sum(), usage_BN)
    assert gradient.isfinite().all()
