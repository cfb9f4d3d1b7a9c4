"""Stop-gradients and straight-through estimators, with a switch that makes them differentiable for gradient checks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

_differentiable = False


@contextmanager
def differentiable_form() -> Iterator[None]:
    """Within this context `stop_gradient` stops nothing and `straight_through` is its soft argument.

    Finite differences see the function, not the estimator; so a numerical gradient check is only possible in this form.
    """
    global _differentiable
    before, _differentiable = _differentiable, True
    try:
        yield
    finally:
        _differentiable = before


def in_differentiable_form() -> bool:
    """Whether `differentiable_form` is in force, which a traced function must remember."""
    return _differentiable


def stop_gradient(value: Tensor) -> Tensor:
    """`value` with its gradient cut."""
    return value if _differentiable else value.detach()


def straight_through(hard: Tensor, soft: Tensor) -> Tensor:
    """`hard` in the forward pass, the gradient of `soft` in the backward pass."""
    return soft if _differentiable else hard.detach() + (soft - soft.detach())  # the bracket is exactly zero
