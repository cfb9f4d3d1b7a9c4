"""Usage, retention and allocation by hand; the properties are tested in `tests/invariants`."""

from __future__ import annotations

import math

import torch
from torch.autograd import gradcheck

from torchmann.functional import retention, softmax_allocation, sorted_allocation, usage


def test_retention_by_hand() -> None:
    free, weights = torch.tensor([[1.0, 0.5]]), torch.tensor([[[0.5, 0.0], [0.4, 1.0]]])
    torch.testing.assert_close(retention(free, weights), torch.tensor([[0.4, 0.5]]))


def test_usage_by_hand() -> None:
    used = usage(torch.tensor([[0.5, 0.0]]), torch.tensor([[[0.2, 0.4], [0.5, 0.0]]]), torch.tensor([[1.0, 0.5]]))
    written = torch.tensor([0.6, 0.4])  # 1 - (1 - 0.2)(1 - 0.5), 1 - (1 - 0.4)(1 - 0)
    torch.testing.assert_close(used[0], torch.tensor([0.5 + written[0] - 0.5 * written[0], 0.5 * written[1]]))


def test_allocation_by_hand() -> None:
    allocation = sorted_allocation(torch.tensor([[0.5, 0.1, 1.0, 0.2]]), floor=0.0)
    torch.testing.assert_close(allocation, torch.tensor([[0.02 * 0.5, 0.9, 0.0, 0.1 * 0.8]]))


def test_softmax_allocation_by_hand() -> None:
    allocation = softmax_allocation(torch.tensor([[0.0, 0.5, 1.0]]), torch.tensor([2 * math.log(2.0)]))
    torch.testing.assert_close(allocation, torch.tensor([[4 / 7, 2 / 7, 1 / 7]]))


def test_gradient_flows_through_the_sorted_values_only() -> None:
    usage_BN = torch.tensor([[0.5, 0.1, 0.9, 0.2]], dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda value: sorted_allocation(value, 0.0), usage_BN)
    (gradient,) = torch.autograd.grad(sorted_allocation(usage_BN, 0.0)[0, 1], usage_BN)
    assert gradient.tolist() == [[0, -1, 0, 0]], "the least used slot's allocation is 1 - u of that slot alone"
