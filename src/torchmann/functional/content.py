"""Content addressing: how alike a key and each slot are, and the weighting that follows.

Shapes: B batch, R heads, N slots, W width.
Sources: Graves et al. 2014, eqs 5-6; Graves et al. 2016, "Content-based addressing".
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from torchmann.core.errors import unknown_name


def cosine(key_BRW: Tensor, memory_BNW: Tensor, epsilon: float = 1e-6) -> Tensor:
    """Cosine similarity ``[B, R, N]``, with a finite gradient at zero memory.

    ``k . m / (|k| |m| + eps)`` with norms ``sqrt(sum of squares + eps)``: the epsilon inside the root bounds the
    gradient, which other forms let grow to 1e7 or NaN at an empty slot.
    """
    key_norm_BR1 = (key_BRW.square().sum(-1, keepdim=True) + epsilon).sqrt()
    memory_norm_B1N = (memory_BNW.square().sum(-1) + epsilon).sqrt().unsqueeze(1)
    return key_BRW @ memory_BNW.mT / (key_norm_BR1 * memory_norm_B1N + epsilon)


def cosine_clamped(key_BRW: Tensor, memory_BNW: Tensor, epsilon: float = 1e-12) -> Tensor:
    """Cosine similarity ``[B, R, N]`` of vectors divided by ``sqrt(max(sum of squares, eps))`` (released UW code)."""
    unit_key_BRW = key_BRW * key_BRW.square().sum(-1, keepdim=True).clamp_min(epsilon).rsqrt()
    unit_memory_BNW = memory_BNW * memory_BNW.square().sum(-1, keepdim=True).clamp_min(epsilon).rsqrt()
    return unit_key_BRW @ unit_memory_BNW.mT


def cosine_outside(key_BRW: Tensor, memory_BNW: Tensor, epsilon: float = 1e-6) -> Tensor:
    """Cosine similarity ``[B, R, N]`` with the epsilon outside the root: ``k . m / ((|k| + eps)(|m| + eps) + eps)``.

    The form of older released code; its gradient at zero memory is large, so it is never a default.
    """
    key_norm_BR1 = torch.linalg.vector_norm(key_BRW, dim=-1, keepdim=True) + epsilon
    memory_norm_B1N = (torch.linalg.vector_norm(memory_BNW, dim=-1) + epsilon).unsqueeze(1)
    return key_BRW @ memory_BNW.mT / (key_norm_BR1 * memory_norm_B1N + epsilon)


def cosine_product(key_BRW: Tensor, memory_BNW: Tensor, epsilon: float = 1e-3) -> Tensor:
    """Cosine similarity ``[B, R, N]`` as ``k . m / (|k| |m| + eps)`` (the code behind the structured NTMs).

    Its gradient at zero memory is as large as the key over epsilon, so it is never a default.
    """
    key_norm_BR1 = torch.linalg.vector_norm(key_BRW, dim=-1, keepdim=True)
    memory_norm_B1N = torch.linalg.vector_norm(memory_BNW, dim=-1).unsqueeze(1)
    return key_BRW @ memory_BNW.mT / (key_norm_BR1 * memory_norm_B1N + epsilon)


def cosine_per_width(key_BRW: Tensor, memory_BNW: Tensor, epsilon: float = 1e-6) -> Tensor:
    """Cosine similarity divided by the width, ``[B, R, N]``: ``k . m / (W (|k| + eps)(|m| + eps) + eps)``.

    A defect of released code: norms that were expanded to the width before a matrix product are summed W times. It
    flattens every look-up; published results were made with it, so it is here to repeat them.
    """
    key_norm_BR1 = torch.linalg.vector_norm(key_BRW, dim=-1, keepdim=True) + epsilon
    memory_norm_B1N = (torch.linalg.vector_norm(memory_BNW, dim=-1) + epsilon).unsqueeze(1)
    width = key_BRW.shape[-1]
    return key_BRW @ memory_BNW.mT / (width * key_norm_BR1 * memory_norm_B1N + epsilon)


SIMILARITIES: dict[str, Callable[..., Tensor]] = {
    "cosine": cosine,
    "cosine_clamped": cosine_clamped,
    "cosine_outside": cosine_outside,
    "cosine_per_width": cosine_per_width,
    "cosine_product": cosine_product,
}


def similarity_named(name: str, epsilon: float | None = None) -> Callable[[Tensor, Tensor], Tensor]:
    """The similarity function of that name, with its own epsilon where none is given.

    Raises:
        OptionError: no such function.
    """
    if name not in SIMILARITIES:
        raise unknown_name("similarity", name, SIMILARITIES)
    return SIMILARITIES[name] if epsilon is None else partial(SIMILARITIES[name], epsilon=epsilon)


def content_weighting(similarity_BRN: Tensor, strength_BR: Tensor) -> Tensor:
    """``w[n] = softmax_n(strength * similarity[n])``, ``[B, R, N]`` (2014, eq. 5; 2016, ``C(M, k, beta)``)."""
    return (similarity_BRN * strength_BR.unsqueeze(-1)).softmax(-1)
