"""The cache of cached uniform writing, and the attention over it.

Shapes: B batch, L cache entries, H hidden, A attention.
Source: "Learning to remember more with less memorization", cached uniform writing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from torchmann.core.state import state


@state
class CacheState(NamedTuple):
    """The last hidden vectors, the newest at the end, and how many of them count."""

    hidden: Tensor  # [B, L, H]
    valid: Tensor  # [B] int64: the last `valid` entries of a row count, the others are empty


class CacheAttention(nn.Module):
    """``a_t = sum_j alpha_j d_j`` with ``alpha = softmax_j(v . tanh(W_a h_{t-1} + U_a d_j + V_a r_{t-1}))``.

    Args:
        interval: L, the size of the cache.
        hidden_size: H.
        read_size: width of the reads.
        attention_size: A.
    """

    def __init__(
        self,
        interval: int,
        hidden_size: int,
        read_size: int,
        attention_size: int,
        *,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        at: dict[str, Any] = {"bias": False, "device": device, "dtype": dtype}
        self.interval, self.hidden_size = interval, hidden_size
        self.from_hidden = nn.Linear(hidden_size, attention_size, **at)  # W_a
        self.from_cache = nn.Linear(hidden_size, attention_size, **at)  # U_a
        self.from_reads = nn.Linear(read_size, attention_size, **at)  # V_a
        self.score = nn.Linear(attention_size, 1, **at)  # v
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.1)

    def initial_state(self, batch_size: int) -> CacheState:
        """An empty cache."""
        hidden = self.score.weight.new_zeros(batch_size, self.interval, self.hidden_size)
        return CacheState(hidden, torch.zeros(batch_size, dtype=torch.int64, device=hidden.device))

    def append(self, cache: CacheState, hidden_BH: Tensor) -> CacheState:
        """The cache with one more entry; the oldest falls out."""
        entries_BLH = torch.cat([cache.hidden[:, 1:], hidden_BH.unsqueeze(1)], dim=1)
        return CacheState(entries_BLH, (cache.valid + 1).clamp(max=self.interval))

    def clear(self, cache: CacheState) -> CacheState:
        """The cache with no entry that counts."""
        return cache._replace(valid=torch.zeros_like(cache.valid))

    def forward(self, cache: CacheState, hidden_BH: Tensor, reads: Tensor) -> Tensor:
        """The mixture ``a_t`` ``[B, H]`` of the entries that count, of which there must be one."""
        query_B1A = (self.from_hidden(hidden_BH) + self.from_reads(reads)).unsqueeze(1)
        score_BL = self.score((query_B1A + self.from_cache(cache.hidden)).tanh()).squeeze(-1)
        age_L = torch.arange(self.interval - 1, -1, -1, device=cache.valid.device)
        score_BL = score_BL.masked_fill(age_L >= cache.valid.unsqueeze(-1), float("-inf"))
        return (score_BL.softmax(-1).unsqueeze(1) @ cache.hidden).squeeze(1).type_as(hidden_BH)
