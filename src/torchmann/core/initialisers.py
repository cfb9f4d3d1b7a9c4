"""How weights start."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


@torch.no_grad()
def xavier_per_gate_(weight: Tensor, gates: int) -> Tensor:
    """Xavier uniform for each of the `gates` stacked blocks of ``weight [gates * H, I]`` by itself."""
    for block in weight.chunk(gates):
        nn.init.xavier_uniform_(block)
    return weight


@torch.no_grad()
def orthogonal_per_gate_(weight: Tensor, gates: int | Sequence[int]) -> Tensor:
    """Orthogonal for each of the stacked blocks of ``weight [O, I]`` by itself: equal ones, or by their sizes."""
    for block in weight.chunk(gates) if isinstance(gates, int) else weight.split(list(gates)):
        if block.numel():
            nn.init.orthogonal_(block)
    return weight
