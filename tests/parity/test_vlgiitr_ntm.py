"""Our NTM computes what vlgiitr/ntm-pytorch computes."""

from __future__ import annotations

import pytest
from tests.parity import vlgiitr_ntm
from tests.parity.golden import Golden, check_forward, check_gradients

CASES = ["vlgiitr-ntm-h1", "vlgiitr-ntm-h2"]


@pytest.mark.parametrize("case", CASES)
def test_outputs_and_states(case: str) -> None:
    check_forward(Golden.load(case), vlgiitr_ntm.replay)


@pytest.mark.parametrize("case", CASES)
def test_gradients(case: str) -> None:
    check_gradients(Golden.load(case), vlgiitr_ntm.replay)
