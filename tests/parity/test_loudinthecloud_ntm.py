"""Our NTM computes what loudinthecloud/pytorch-ntm computes."""

from __future__ import annotations

import pytest
from tests.parity import loudinthecloud_ntm
from tests.parity.golden import Golden, check_forward, check_gradients

CASES = ["loudinthecloud-ntm-h1", "loudinthecloud-ntm-h2"]


@pytest.mark.parametrize("case", CASES)
def test_outputs_and_states(case: str) -> None:
    check_forward(Golden.load(case), loudinthecloud_ntm.replay)


@pytest.mark.parametrize("case", CASES)
def test_gradients(case: str) -> None:
    check_gradients(Golden.load(case), loudinthecloud_ntm.replay)
