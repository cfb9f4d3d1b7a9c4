"""Straight-through Gumbel softmax: hard values, soft gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from torchmann.core import differentiable_form
from torchmann.functional import gumbel_softmax


def gumbel(*shape: int) -> Tensor:
    return -torch.empty(*shape, dtype=torch.float64).exponential_().log()


@pytest.mark.parametrize("temperature", [1e-3, 1.0, 50.0])
def test_value_is_one_hot_at_the_largest_noisy_logit(temperature: float) -> None:
    logits, noise = torch.randn(4, 3, 6).double(), gumbel(4, 3, 6)
    for drawn, wanted in ((None, logits), (noise, logits + noise)):
        choice = gumbel_softmax(logits, temperature, drawn)
        assert torch.equal(choice, torch.nn.functional.one_hot(wanted.argmax(-1), 6).double())


def test_of_equal_logits_the_first_is_chosen() -> None:
    assert gumbel_softmax(torch.zeros(2, 3), 1.0).tolist() == [[1, 0, 0]] * 2


@pytest.mark.parametrize("temperature", [0.02, 0.7, 3.0])
def test_gradient_is_that_of_the_softmax(temperature: float) -> None:
    logits, noise = torch.randn(5, 4).double().requires_grad_(), gumbel(5, 4)
    temperature_ = torch.tensor(temperature, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(5, 4).double()
    found = torch.autograd.grad((gumbel_softmax(logits, temperature_, noise) * weights).sum(), [logits, temperature_])
    soft = ((logits + noise) / temperature_).softmax(-1)
    expected = torch.autograd.grad((soft * weights).sum(), [logits, temperature_])
    torch.testing.assert_close(found, expected)
    assert all(gradient.isfinite().all() for gradient in found)


def test_differentiable_form_is_the_softmax_itself() -> None:
    logits, noise = torch.randn(3, 4).double().requires_grad_(), gumbel(3, 4).requires_grad_()
    with differentiable_form():
        torch.testing.assert_close(gumbel_softmax(logits, 0.5), (logits / 0.5).softmax(-1))
        assert gradcheck(lambda x, g: gumbel_softmax(x, 0.5, g), [logits, noise])


@pytest.mark.parametrize("temperature", [0.1, 10.0])
def test_samples_follow_the_softmax_of_the_logits_at_any_temperature(temperature: float) -> None:
    logits = torch.tensor([0.5, -1.0, 0.0, 1.2], dtype=torch.float64)
    share = gumbel_softmax(logits.expand(40_000, 4), temperature, gumbel(40_000, 4)).mean(0)
    torch.testing.assert_close(share, logits.softmax(0), atol=0.01, rtol=0)
