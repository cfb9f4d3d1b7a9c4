"""What every test shares: one thread, a seed, and how hypothesis searches."""

from __future__ import annotations

import os

import hypothesis
import pytest
import torch

torch.set_num_threads(1)

# A search that finds something new each time is for a developer's machine; continuous integration must repeat.
hypothesis.settings.register_profile("torchmann", deadline=None, max_examples=100, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("torchmann")


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Each test starts from the same random numbers, in whatever order tests run."""
    torch.manual_seed(0)
