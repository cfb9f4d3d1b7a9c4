"""What the sources that are NTMs share: torch's LSTM, and addressing by content and by location.

Shapes: B batch, H hidden, N slots, M width.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, softplus

SHARPEN = 1e-16


def lstm(seen: Tensor, h: Tensor, c: Tensor, w_ih: Tensor, w_hh: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """h and c of a step of torch's cell; rows: input gate, forget gate, candidate, output gate."""
    i, f, g, o = (seen @ w_ih.T + h @ w_hh.T + bias).chunk(4, dim=1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def address(memory: Tensor, before: Tensor, fields: dict[str, Tensor], shift: float = 0.0) -> Tensor:
    """The weighting ``[B, N]`` of one head; `shift` is added to each entry before the similarity."""
    cosine = cosine_similarity(memory + shift, fields["key"].unsqueeze(1) + shift, dim=-1)
    content = (softplus(fields["strength"]) * cosine).softmax(1)
    gate = fields["gate"].sigmoid()
    mixed = gate * content + (1 - gate) * before
    taps = fields["shift"].softmax(1)
    slots = range(mixed.shape[1])
    last = len(slots) - 1
    moved = torch.stack(
        [
            taps[:, 0] * mixed[:, slot - 1 if slot else last]
            + taps[:, 1] * mixed[:, slot]
            + taps[:, 2] * mixed[:, slot + 1 if slot < last else 0]
            for slot in slots
        ],
        dim=1,
    )
    powers = moved ** (1 + softplus(fields["gamma"]))
    return powers / (powers.sum(1, keepdim=True) + SHARPEN)


def read(memory: Tensor, weights: Tensor) -> Tensor:
    """``[B, M]``."""
    return torch.einsum("bn,bnm->bm", weights, memory)
