"""Activations that the field names."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from torchmann.core.errors import unknown_name


def oneplus(x: Tensor) -> Tensor:
    """``1 + log(1 + e^x)``, in [1, inf): strengths and exponents (Graves et al. 2016)."""
    return 1 + F.softplus(x)


def identity(x: Tensor) -> Tensor:
    """``x``."""
    return x


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "none": identity,
    "tanh": Tensor.tanh,
    "sigmoid": Tensor.sigmoid,
    "relu": Tensor.relu,
    "softplus": F.softplus,
    "oneplus": oneplus,
}


def activation_named(name: str) -> Callable[[Tensor], Tensor]:
    """The activation of that name.

    Raises:
        OptionError: no such activation.
    """
    if name not in ACTIVATIONS:
        raise unknown_name("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]
