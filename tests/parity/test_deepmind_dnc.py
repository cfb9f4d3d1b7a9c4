"""Our DNC computes what google-deepmind/dnc computes."""

from __future__ import annotations

import pytest
import torch
from tests.parity import deepmind_dnc
from tests.parity.golden import Golden, check_forward, check_gradients

CASES = ["deepmind-dnc-base", "deepmind-dnc-clip", "deepmind-dnc-init"]


@pytest.mark.parametrize("case", CASES)
def test_outputs_and_states(case: str) -> None:
    check_forward(Golden.load(case), deepmind_dnc.replay, deepmind_dnc.SLOT_AXES)


@pytest.mark.parametrize("case", CASES)
def test_gradients(case: str) -> None:
    check_gradients(Golden.load(case), deepmind_dnc.replay)


def test_gradient_into_the_fed_write_weights_is_cut() -> None:
    golden = Golden.load("deepmind-dnc-init")
    leaves = golden.leaves()
    output, _ = deepmind_dnc.replay(golden, leaves)
    fed = leaves["initial_state/write_weights"]
    (gradient,) = torch.autograd.grad(output.sum(), fed, allow_unused=True)
    assert gradient is None and "grad/initial_state/write_weights" not in golden.arrays
