"""Optimisers by name, with the keywords that the command line offers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from torchmann.core.errors import OptionError, unknown_name


class GravesRMSProp(Optimizer):
    """Centred RMSProp with momentum as Graves published it: epsilon stands inside the root.

    ``n = decay n + (1 - decay) g²``, ``m = decay m + (1 - decay) g``,
    ``delta = momentum delta - lr g / sqrt(n - m² + eps)``, ``parameter += delta``.

    Source: Graves 2013, "Generating Sequences With Recurrent Neural Networks", eqs 38-45.

    Args:
        parameters: what is trained.
        lr: step size.
        decay: of the running means of the gradient and of its square.
        momentum: share of the last step in the next one.
        eps: added to the variance of the gradient.

    Raises:
        OptionError: a value outside its range.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float = 1e-4,
        decay: float = 0.95,
        momentum: float = 0.9,
        eps: float = 1e-4,
    ) -> None:
        _require_positive(lr=lr, eps=eps)
        _require_fraction(decay=decay, momentum=momentum)
        super().__init__(parameters, {"lr": lr, "decay": decay, "momentum": momentum, "eps": eps})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One update; `closure`, if given, computes the loss anew and is called first."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group)
        return loss

    def _update(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            for name in ("mean", "mean_of_squares", "delta"):
                state[name] = torch.zeros_like(parameter)
        mean, squares, delta = state["mean"], state["mean_of_squares"], state["delta"]
        squares.lerp_(gradient.square(), 1 - group["decay"])
        mean.lerp_(gradient, 1 - group["decay"])
        # The variance is never negative, but its rounding error can be, and may outgrow eps.
        deviation = (squares - mean.square()).clamp_(min=0).add_(group["eps"]).sqrt_()
        delta.mul_(group["momentum"]).addcdiv_(gradient, deviation, value=-group["lr"])
        parameter.add_(delta)


def adam(
    parameters: Iterable[Tensor], lr: float = 1e-3, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8
) -> Optimizer:
    """Adam (`torch.optim.Adam`).

    Args:
        parameters: what is trained.
        lr: step size.
        beta1: decay of the mean of the gradient.
        beta2: decay of the mean of its square.
        eps: added to the root of the mean square.
    """
    _require_positive(lr=lr, eps=eps)
    _require_fraction(beta1=beta1, beta2=beta2)
    return torch.optim.Adam(parameters, lr=lr, betas=(beta1, beta2), eps=eps)


def rmsprop(
    parameters: Iterable[Tensor], lr: float = 1e-4, alpha: float = 0.9, momentum: float = 0.9, eps: float = 1e-10
) -> Optimizer:
    """RMSProp (`torch.optim.RMSprop`); the defaults are the usual ones for memory networks.

    Args:
        parameters: what is trained.
        lr: step size.
        alpha: decay of the mean square of the gradient.
        momentum: share of the last step in the next one.
        eps: added to the root of the mean square.
    """
    _require_positive(lr=lr, eps=eps)
    _require_fraction(alpha=alpha, momentum=momentum)
    return torch.optim.RMSprop(parameters, lr=lr, alpha=alpha, momentum=momentum, eps=eps)


OPTIMISERS: dict[str, Callable[..., Optimizer]] = {"adam": adam, "rmsprop": rmsprop, "graves": GravesRMSProp}


def optimiser_named(name: str) -> Callable[..., Optimizer]:
    """What makes the optimiser of that name from parameters and keywords.

    Raises:
        OptionError: no such optimiser; the message suggests the nearest name.
    """
    if name not in OPTIMISERS:
        raise unknown_name("optimiser", name, OPTIMISERS)
    return OPTIMISERS[name]


def _require_positive(**values: float) -> None:
    for name, value in values.items():
        if not value > 0:
            raise OptionError(f"{name} must be above 0, got {value}.")


def _require_fraction(**values: float) -> None:
    for name, value in values.items():
        if not 0 <= value < 1:
            raise OptionError(f"{name} must be at least 0 and below 1, got {value}.")
