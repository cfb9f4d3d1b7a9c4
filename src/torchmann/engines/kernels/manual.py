"""What the backward passes by hand share, in plain torch: look-ups by content, and an LSTM's step.

Each function takes what its forward function took (or gave) and the gradient of what that gave, and returns the
gradients of what it took. Forward, they are those of `torchmann.functional` and `torchmann.cells`.

Shapes: B batch, H units of the controller, R heads, N slots, W width. ``d_x`` is the gradient of x.
"""

from __future__ import annotations

import torch
from torch import Tensor

from torchmann import functional


def cosine_backward(
    key_BRW: Tensor, memory_BNW: Tensor, d_similarity_BRN: Tensor, epsilon: float = 1e-6
) -> tuple[Tensor, Tensor]:
    """Of ``s = k . m / D``, ``D = |k| |m| + eps``: ``d(k . m) = ds / D``, ``dD = -s ds / D``, both on to k and to m."""
    key_norm_BR1 = (key_BRW.square().sum(-1, keepdim=True) + epsilon).sqrt()
    memory_norm_BN = (memory_BNW.square().sum(-1) + epsilon).sqrt()
    denominator_BRN = key_norm_BR1 * memory_norm_BN.unsqueeze(1) + epsilon
    similarity_BRN = key_BRW @ memory_BNW.mT / denominator_BRN
    d_product_BRN = d_similarity_BRN / denominator_BRN
    d_denominator_BRN = -similarity_BRN * d_product_BRN
    d_key_norm_BR1 = (d_denominator_BRN * memory_norm_BN.unsqueeze(1)).sum(-1, keepdim=True)
    d_memory_norm_BN = (d_denominator_BRN * key_norm_BR1).sum(1)
    d_key_BRW = d_product_BRN @ memory_BNW + d_key_norm_BR1 * key_BRW / key_norm_BR1
    d_memory_BNW = d_product_BRN.mT @ key_BRW + (d_memory_norm_BN / memory_norm_BN).unsqueeze(-1) * memory_BNW
    return d_key_BRW, d_memory_BNW


def softmax_backward(weights: Tensor, d_weights: Tensor) -> Tensor:
    """``dz = w (dw - sum w dw)``, along the last axis."""
    return weights * (d_weights - (weights * d_weights).sum(-1, keepdim=True))


def look_up_backward(
    key_BRW: Tensor, strength_BR: Tensor, memory_BNW: Tensor, weights_BRN: Tensor, d_weights_BRN: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Of ``w = softmax(strength s)``: the gradients of key, strength and memory."""
    d_logits_BRN = softmax_backward(weights_BRN, d_weights_BRN)
    d_strength_BR = (d_logits_BRN * functional.cosine(key_BRW, memory_BNW)).sum(-1)
    d_key_BRW, d_memory_BNW = cosine_backward(key_BRW, memory_BNW, d_logits_BRN * strength_BR.unsqueeze(-1))
    return d_key_BRW, d_strength_BR, d_memory_BNW


def lstm_backward(
    gates: tuple[Tensor, ...], c_before_BH: Tensor, c_BH: Tensor, d_h_BH: Tensor, d_c_BH: Tensor
) -> tuple[Tensor, Tensor]:
    """Of ``c = f c' + i g``, ``h = o tanh(c)``: the gradients of the pre-activations ``[B, 4 H]`` and of c'."""
    i, f, g, o = gates
    d_c_BH = d_c_BH + d_h_BH * o * (1 - c_BH.tanh().square())
    before = (
        d_c_BH * g * i * (1 - i),
        d_c_BH * c_before_BH * f * (1 - f),
        d_c_BH * i * (1 - g.square()),
        d_h_BH * c_BH.tanh() * o * (1 - o),
    )
    return torch.cat(before, dim=-1), d_c_BH * f
