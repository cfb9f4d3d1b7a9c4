"""How weights start."""

from __future__ import annotations

import torch
from torch import Tensor, nn


@torch.no_grad()
def xavier_per_gate_(weight: Tensor, gates: int) -> Tensor:
    """Xavier uniform for each of the `gates` stacked blocks of ``weight [gates * H, I]`` by itself."""
    for block in weight.chunk(gates):
        nn.init.xavier_uniform_(block)
    return weight


@torch.no_grad()
def orthogonal_per_gate_(weight: Tensor, gates: int) -> Tensor:
    """Orthogonal for each of the `gates` stacked square blocks of ``weight [gates * H, H]`` by itself."""
    for block in weight.chunk(gates):
        nn.init.orthogonal_(block)
    return weight
