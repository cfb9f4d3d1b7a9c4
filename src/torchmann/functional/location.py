"""Location addressing of the NTM: interpolate, shift, sharpen.

Shapes: B batch, R heads, N slots, S shift taps (S = 2 * range + 1, from -range to +range).
Source: Graves et al. 2014, section 3.3.2.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def interpolation(content_BRN: Tensor, previous_BRN: Tensor, gate_BR: Tensor) -> Tensor:
    """``w_g = g w_c + (1 - g) w_{t-1}`` (eq. 7), ``[B, R, N]``."""
    return torch.lerp(previous_BRN, content_BRN, gate_BR.unsqueeze(-1))


def circular_shift(weights_BRN: Tensor, shift_BRS: Tensor) -> Tensor:
    """``w_s[i] = sum_j w_g[j] s[i - j]``, indices modulo N (eq. 8), ``[B, R, N]``.

    A one-hot `shift` at tap +1 moves each weight one slot up.
    """
    taps = shift_BRS.shape[-1]
    rolled_BRNS = torch.stack([weights_BRN.roll(tap - taps // 2, dims=-1) for tap in range(taps)], dim=-1)
    return (rolled_BRNS @ shift_BRS.unsqueeze(-1)).squeeze(-1)


def sharpening(weights_BRN: Tensor, gamma_BR: Tensor, epsilon: float = 0.0) -> Tensor:
    """``w[i] = w_s[i]^gamma / (sum_j w_s[j]^gamma + epsilon)`` (eq. 9, where epsilon is 0), ``[B, R, N]``.

    Computed as a softmax of ``gamma log w_s``: the same number, but neither a large exponent nor a zero weight makes
    the normaliser vanish. The 1e-12 keeps the gradient finite at zero. An epsilon is one more term of the softmax.
    """
    powers_BRN = gamma_BR.unsqueeze(-1) * (weights_BRN.clamp_min(0) + 1e-12).log()
    if not epsilon:
        return powers_BRN.softmax(-1)
    return F.pad(powers_BRN, (0, 1), value=math.log(epsilon)).softmax(-1)[..., :-1]
