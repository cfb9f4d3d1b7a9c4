"""Reading from and writing to a matrix memory.

Shapes: B batch, R read heads, V write heads, N slots, W width.
Sources: Graves et al. 2014, eqs 2-4; Graves et al. 2016, "Reading and writing to memory".
"""

from __future__ import annotations

from functools import reduce

import torch
from torch import Tensor


def read(memory_BNW: Tensor, read_weights_BRN: Tensor) -> Tensor:
    """``r^i = M^T w^{r,i}``, ``[B, R, W]`` (2014, eq. 2)."""
    return read_weights_BRN @ memory_BNW


def erase_and_add(memory_BNW: Tensor, write_weights_BVN: Tensor, erase_BVW: Tensor, add_BVW: Tensor) -> Tensor:
    """``M_t = M_{t-1} prod_j (1 - w^j e^j^T) + sum_j w^j a^j^T``, ``[B, N, W]`` (2014, eqs 3-4; 2016, ``M_t``)."""
    erased_BVNW = write_weights_BVN.unsqueeze(-1) * erase_BVW.unsqueeze(-2)
    kept_BNW = reduce(torch.mul, (1 - erased_BVNW).unbind(1), memory_BNW)
    return torch.baddbmm(kept_BNW, write_weights_BVN.mT, add_BVW)
