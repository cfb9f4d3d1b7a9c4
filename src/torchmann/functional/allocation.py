"""Usage of slots, and which free slot to allocate.

Shapes: B batch, R read heads, V write heads, N slots.
Source: Graves et al. 2016, "Dynamic memory allocation".
"""

from __future__ import annotations

from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor


def product_over_heads(factors_BHN: Tensor) -> Tensor:
    """The product over axis 1, ``[B, N]``; few heads, so multiplied out: torch.prod's backward looks for zeros."""
    return factors_BHN[:, 0] if factors_BHN.shape[1] == 1 else reduce(torch.mul, factors_BHN.unbind(1))


def retention(free_gate_BR: Tensor, read_weights_BRN: Tensor) -> Tensor:
    """``psi = prod_i (1 - f^i w^{r,i}_{t-1})``: how much of each slot is not freed, ``[B, N]``."""
    return product_over_heads(1 - free_gate_BR.unsqueeze(-1) * read_weights_BRN)


def usage(usage_BN: Tensor, write_weights_BVN: Tensor, retention_BN: Tensor) -> Tensor:
    """``u_t = (u_{t-1} + w^w_{t-1} - u_{t-1} w^w_{t-1}) psi_t``, ``[B, N]``.

    Several write heads count as one that wrote with ``1 - prod_j (1 - w^{w,j})``.
    """
    one_head = write_weights_BVN.shape[1] == 1
    written_BN = write_weights_BVN[:, 0] if one_head else 1 - product_over_heads(1 - write_weights_BVN)
    return (usage_BN + written_BN - usage_BN * written_BN) * retention_BN


def sorted_allocation(usage_BN: Tensor, floor: float = 1e-6) -> Tensor:
    """``a[phi_j] = (1 - u[phi_j]) prod_{i<j} u[phi_i]``, phi sorting usage in ascending order; ``[B, N]``.

    Ties go to the lower slot (the sort is stable: at the start all usage is equal). The gradient flows through the
    sorted values, the permutation is constant. `floor` squeezes usage to ``floor + (1 - floor) u``, so that no
    factor, and with it no gradient, is exactly zero.
    """
    squeezed_BN = floor + (1 - floor) * usage_BN
    ascending_BN, order_BN = squeezed_BN.sort(dim=-1, stable=True)
    before_BN = F.pad(ascending_BN.cumprod(-1)[..., :-1], (1, 0), value=1.0)
    return torch.zeros_like(usage_BN).scatter(-1, order_BN, (1 - ascending_BN) * before_BN)


def softmax_allocation(usage_BN: Tensor, strength_B: Tensor) -> Tensor:
    """``a[i] = softmax_i(beta (1 - u[i]))``: differentiable allocation, without a sort; ``[B, N]``.

    It always sums to one, where the sorted rule sums to ``1 - prod(u)``: a full memory is not protected by it.
    Source: "Differentiable memory allocation" for the DNC, eq. 10.
    """
    return (strength_B.unsqueeze(-1) * (1 - usage_BN)).softmax(-1)
