"""Activations by name."""

from __future__ import annotations

import math

import pytest
import torch

from torchmann.core import OptionError
from torchmann.functional import activation_named, oneplus


def test_oneplus_by_hand() -> None:
    torch.testing.assert_close(oneplus(torch.tensor([0.0, -100.0, 100.0])), torch.tensor([1 + math.log(2), 1.0, 101.0]))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("none", -0.5),
        ("tanh", math.tanh(-0.5)),
        ("sigmoid", 1 / (1 + math.exp(0.5))),
        ("relu", 0.0),
        ("softplus", math.log1p(math.exp(-0.5))),
        ("oneplus", 1 + math.log1p(math.exp(-0.5))),
    ],
)
def test_activation_by_name(name: str, expected: float) -> None:
    assert activation_named(name)(torch.tensor(-0.5)).item() == pytest.approx(expected, rel=1e-6)


def test_unknown_activation_suggests_the_nearest() -> None:
    with pytest.raises(OptionError, match="unknown activation 'sigmoud': did you mean 'sigmoid'"):
        activation_named("sigmoud")
