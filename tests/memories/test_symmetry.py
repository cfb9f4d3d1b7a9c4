"""Equal slots: sorted allocation tells them apart by number, a softmax cannot, so its memory starts at random."""

from __future__ import annotations

import pytest
import torch

import torchmann as tm
from torchmann.core import OptionError


def spread_over_slots(make: type[tm.Recurrent] = tm.DNC, **options: object) -> float:
    torch.manual_seed(0)
    model = make(4, 8, slots=6, width=3, **options)  # type: ignore[arg-type, call-arg]
    _, state = model(torch.randn(9, 2, 4))
    return state.memory.memory.std(dim=1).max().item()


def test_slots_that_start_alike_stay_alike_under_softmax_allocation() -> None:
    assert spread_over_slots(allocation="softmax", initial_memory="constant") < 1e-6


def test_each_allocation_tells_slots_apart_by_default() -> None:
    assert spread_over_slots(allocation="sorted") > 1e-3
    assert spread_over_slots(allocation="softmax") > 1e-3


@pytest.mark.parametrize("memory", ["tanh", "sigmoid", "learned", "random"])
def test_an_ntm_without_a_prior_on_slots_starts_from_slots_that_differ(memory: str) -> None:
    assert spread_over_slots(tm.NTM, initial_weights="constant", initial_memory=memory) > 1e-3


def test_an_ntm_that_could_never_tell_its_slots_apart_is_refused() -> None:
    with pytest.raises(OptionError, match="slots that start alike stay alike"):
        tm.NTM(4, 8, slots=6, width=3, initial_weights="constant", initial_memory="constant")
