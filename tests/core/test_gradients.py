"""Stop-gradients and straight-through estimators, and their differentiable form."""

from __future__ import annotations

import pytest
import torch

from torchmann.core import differentiable_form, stop_gradient, straight_through


def test_stop_gradient_keeps_the_value_and_cuts_the_gradient() -> None:
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    assert torch.equal(stop_gradient(x), x) and not stop_gradient(x).requires_grad
    (gradient,) = torch.autograd.grad((stop_gradient(x) * x).sum(), x)
    assert gradient.tolist() == [1, 2]
    with differentiable_form():
        (gradient,) = torch.autograd.grad((stop_gradient(x) * x).sum(), x)
    assert gradient.tolist() == [2, 4]


def test_straight_through_is_hard_forward_and_soft_backward() -> None:
    logits = torch.tensor([0.3, 2.0, -1.0], dtype=torch.float64, requires_grad=True)
    goal = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    soft = logits.softmax(0)
    hard = torch.nn.functional.one_hot(soft.argmax(), 3).double()
    value = straight_through(hard, soft)
    assert torch.equal(value, hard), "not even a rounding error of the soft value is left"
    (through,) = torch.autograd.grad((value * goal).sum(), logits, retain_graph=True)
    (wanted,) = torch.autograd.grad((soft * goal).sum(), logits, retain_graph=True)
    torch.testing.assert_close(through, wanted)
    with differentiable_form():
        assert straight_through(hard, soft) is soft


def test_no_gradient_reaches_the_hard_value() -> None:
    hard, soft = torch.ones(2, requires_grad=True), torch.zeros(2, requires_grad=True)
    straight_through(hard, soft).sum().backward()
    assert hard.grad is None and soft.grad.tolist() == [1, 1]


def test_the_form_nests_and_ends_with_an_error() -> None:
    x = torch.ones(1, requires_grad=True)
    with pytest.raises(ZeroDivisionError), differentiable_form():
        with differentiable_form():
            assert stop_gradient(x).requires_grad
        assert stop_gradient(x).requires_grad, "the inner context does not end the outer one"
        raise ZeroDivisionError
    assert not stop_gradient(x).requires_grad
