"""Similarities by hand, and what each does at vectors of zeros."""

from __future__ import annotations

import math

import pytest
import torch

from torchmann.core import OptionError
from torchmann.functional import (
    content_weighting,
    cosine,
    cosine_clamped,
    cosine_outside,
    cosine_per_width,
    similarity_named,
)

KEY = torch.tensor([[[3.0, 4.0]]])
MEMORY = torch.tensor([[[1.0, 0.0], [6.0, 8.0], [-3.0, -4.0], [0.0, 0.0]]])


@pytest.mark.parametrize("similarity", [cosine, cosine_clamped, cosine_outside])
def test_cosine_by_hand(similarity) -> None:
    torch.testing.assert_close(similarity(KEY, MEMORY)[0, 0], torch.tensor([0.6, 1.0, -1.0, 0.0]), atol=1e-5, rtol=0)


def test_cosine_by_the_width_by_hand() -> None:
    halves = torch.tensor([0.3, 0.5, -0.5, 0.0])
    torch.testing.assert_close(cosine_per_width(KEY, MEMORY)[0, 0], halves, atol=1e-5, rtol=0)
    padded = cosine_per_width(*(torch.nn.functional.pad(value, (0, 2)) for value in (KEY, MEMORY)))
    torch.testing.assert_close(padded[0, 0], halves / 2, atol=1e-5, rtol=0)


def test_where_the_epsilon_stands() -> None:
    key, memory = torch.tensor([[[2.0]]]), torch.tensor([[[1.0]]])
    epsilon = 0.5
    assert cosine(key, memory, epsilon).item() == pytest.approx(2 / (math.sqrt(4.5) * math.sqrt(1.5) + 0.5))
    assert cosine_outside(key, memory, epsilon).item() == pytest.approx(2 / (2.5 * 1.5 + 0.5))
    assert cosine_per_width(key, memory, epsilon).item() == pytest.approx(2 / (2.5 * 1.5 + 0.5)), "width 1"
    assert cosine_clamped(key, memory, epsilon).item() == pytest.approx(1.0)
    assert cosine_clamped(key, memory, 16.0).item() == pytest.approx(2 / (4 * 4))


def test_epsilon_under_the_root_bounds_the_gradient_and_outside_does_not() -> None:
    sizes = {}
    for similarity in (cosine, cosine_outside, cosine_clamped):
        memory = torch.full((1, 1, 2), 1e-7, requires_grad=True)
        (gradient,) = torch.autograd.grad(similarity(KEY, memory).sum(), memory)
        sizes[similarity.__name__] = gradient.norm().item()
    assert sizes["cosine"] <= 1e3 < 1e4 < min(sizes["cosine_outside"], sizes["cosine_clamped"])


def test_content_weighting_by_hand() -> None:
    weights = content_weighting(torch.tensor([[[0.0, 1.0]]]), torch.tensor([[math.log(3.0)]]))
    torch.testing.assert_close(weights, torch.tensor([[[0.25, 0.75]]]))


def test_similarity_by_name() -> None:
    assert similarity_named("cosine") is cosine
    with pytest.raises(OptionError, match="unknown similarity 'cosine-clamped': did you mean 'cosine_clamped'"):
        similarity_named("cosine-clamped")
