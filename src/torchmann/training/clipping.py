"""Limiting gradients before a step, in the ways that papers do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

from torchmann.core.errors import OptionError, unknown_name

Clipping = Literal["none", "value", "tensor", "global"]


def clip_gradients(parameters: Sequence[Tensor], how: Clipping, limit: float) -> None:
    """Limit the gradients of `parameters` in place; those without a gradient are passed over.

    Args:
        parameters: what is trained.
        how: ``"value"``: each element to ±limit; ``"tensor"``: the norm of each tensor's gradient;
            ``"global"``: the norm of all gradients together; ``"none"``: not at all.
        limit: the largest element or norm that is left.

    Raises:
        OptionError: unknown `how`, or a limit that is not above zero.
    """
    if how not in get_args(Clipping):
        raise unknown_name("clipping", how, get_args(Clipping))
    if not limit > 0:
        raise OptionError(f"the limit of clipping must be above 0, got {limit}; clip='none' turns clipping off.")
    if how == "value":
        clip_grad_value_(parameters, limit)
    elif how == "tensor":
        for parameter in parameters:
            clip_grad_norm_(parameter, limit)
    elif how == "global":
        _clip_together([parameter.grad for parameter in parameters if parameter.grad is not None], limit)


def _clip_together(gradients: list[Tensor], limit: float) -> None:
    """What `clip_grad_norm_` does, for one device, in half the time: the iteration of a small model feels it."""
    if gradients:
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        torch._foreach_mul_(gradients, (limit / (norm + 1e-6)).clamp(max=1.0))
