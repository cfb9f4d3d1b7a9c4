"""Equal slots: sorted allocation tells them apart by number, a softmax cannot, so its memory starts at random."""

from __future__ import annotations

import torch

import torchmann as tm


def spread_over_slots(**options: object) -> float:
    torch.manual_seed(0)
    model = tm.DNC(4, 8, slots=6, width=3, **options)  # type: ignore[arg-type]
    _, state = model(torch.randn(9, 2, 4))
    return state.memory.memory.std(dim=1).max().item()


def test_slots_that_start_alike_stay_alike_under_softmax_allocation() -> None:
    assert spread_over_slots(allocation="softmax", initial_memory="constant") < 1e-6


def test_each_allocation_tells_slots_apart_by_default() -> None:
    assert spread_over_slots(allocation="sorted") > 1e-3
    assert spread_over_slots(allocation="softmax") > 1e-3
