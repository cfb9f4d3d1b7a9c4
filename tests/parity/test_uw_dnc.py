"""Our DNC computes what thaihungle/UW-DNC computes, with dense and with uniform writing."""

from __future__ import annotations

import pytest
from tests.parity import uw_dnc
from tests.parity.golden import Golden, check_forward, check_gradients

CASES = ["uw-dnc-dense", "uw-dnc-dense-init", "uw-dnc-uniform", "uw-dnc-uniform-gru"]


@pytest.mark.parametrize("case", CASES)
def test_outputs_and_states(case: str) -> None:
    check_forward(uw_dnc.at_complete_steps(Golden.load(case)), uw_dnc.replay, uw_dnc.SLOT_AXES)


@pytest.mark.parametrize("case", CASES)
def test_gradients(case: str) -> None:
    check_gradients(Golden.load(case), uw_dnc.replay)
