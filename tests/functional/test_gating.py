"""Gates of slots, and the update that they let through."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from tests.invariants.strategies import tensors
from torch import Tensor

from torchmann.functional import gated_update, slot_gates

B, N, W = 2, 4, 3


@pytest.mark.parametrize("width", [W, 1])
def test_gates_of_every_slot_see_the_input_and_the_slot(width: int) -> None:
    from_input, from_memory = torch.randn(B, 2 * width), torch.randn(B, N, 2 * width)
    gates = slot_gates(from_input, from_memory, input_bias=0.5, forget_bias=torch.tensor(-2.0))
    assert all(gate.shape == (B, N, width) for gate in gates)
    for b, n in ((b, n) for b in range(B) for n in range(N)):
        pre = from_input[b] + from_memory[b, n]
        torch.testing.assert_close(gates[0][b, n], torch.sigmoid(pre[:width] + 0.5))
        torch.testing.assert_close(gates[1][b, n], torch.sigmoid(pre[width:] - 2))


@pytest.mark.parametrize("width", [W, 1])
def test_shut_and_open_gates(width: int) -> None:
    memory, candidate = torch.randn(B, N, W), torch.randn(B, N, W)
    shut, wide = torch.zeros(B, N, width), torch.ones(B, N, width)
    assert torch.equal(gated_update(memory, candidate, shut, wide), memory)
    assert torch.equal(gated_update(memory, candidate, wide, shut), candidate.tanh())


@settings(max_examples=30)
@given(
    memory=tensors(B, N, W, low=-5.0, high=5.0),
    candidate=tensors(B, N, W, low=-9.0, high=9.0),
    gates=tensors(2, B, N, W),
)
def test_memory_grows_by_no_more_than_one_a_step(memory: Tensor, candidate: Tensor, gates: Tensor) -> None:
    after = gated_update(memory, candidate, gates[0], gates[1])
    assert (after.abs() <= memory.abs() + 1 + 1e-5).all()
