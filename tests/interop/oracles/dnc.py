"""What the sources that are DNCs share: an LSTM with one kernel, allocation, retention, links.

Shapes: B batch, H hidden, R read heads, V write heads, N slots, W width.
"""

from __future__ import annotations

import torch
from torch import Tensor


def lstm(seen: Tensor, h: Tensor, c: Tensor, kernel: Tensor, bias: Tensor, forget_bias: float) -> tuple[Tensor, Tensor]:
    """h and c of a step; columns of the kernel: input gate, candidate, forget gate, output gate."""
    i, g, f, o = (torch.cat([seen, h], dim=1) @ kernel + bias).chunk(4, dim=1)
    c = c * (f + forget_bias).sigmoid() + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def clipped(value: Tensor, limit: float) -> Tensor:
    """Limited to ±limit; zero is no limit."""
    return value.clamp(-limit, limit) if limit else value


def used(usage: Tensor, write: Tensor, free: Tensor, read: Tensor) -> Tensor:
    """Usage ``[B, N]`` from that before, write ``[B, V, N]`` and read weights ``[B, R, N]`` of before, free gates."""
    written = 1 - (1 - write).prod(1)
    return (usage + written - usage * written) * (1 - free.unsqueeze(-1) * read).prod(1)


def allocation(usage: Tensor) -> Tensor:
    """``[B, N]``, slot by slot from the least used on."""
    rows = []
    for row in usage:
        weights, taken = [row[0]] * len(row), torch.ones(())
        for slot in sorted(range(len(row)), key=lambda slot: row[slot].item()):
            weights[slot] = (1 - row[slot]) * taken
            taken = taken * row[slot]
        rows.append(torch.stack(weights))
    return torch.stack(rows)


def linked(link: Tensor, precedence: Tensor, write: Tensor) -> tuple[Tensor, Tensor]:
    """Link ``[B, V, N, N]`` (row: newer) and precedence ``[B, V, N]`` after writing with ``[B, V, N]``."""
    newer, older = write.unsqueeze(3), write.unsqueeze(2)
    link = (1 - newer - older) * link + newer * precedence.unsqueeze(2)
    link = link * (1 - torch.eye(link.shape[-1]))
    return link, (1 - write.sum(2, keepdim=True)) * precedence + write


def written(memory: Tensor, write: Tensor, erase: Tensor, add: Tensor) -> Tensor:
    """Memory ``[B, N, W]`` after all write heads ``[B, V, N]`` with erase and add vectors ``[B, V, W]``."""
    kept = (1 - torch.einsum("bvn,bvw->bvnw", write, erase)).prod(1)
    return memory * kept + torch.einsum("bvn,bvw->bnw", write, add)


def ways(link: Tensor, read: Tensor) -> tuple[Tensor, Tensor]:
    """Backward and forward weightings ``[B, R, V, N]`` from the read weights of before."""
    return torch.einsum("bvij,bri->brvj", link, read), torch.einsum("bvij,brj->brvi", link, read)


def start(shapes: dict[str, tuple[int, ...]], arrays: dict[str, Tensor], batch: int) -> dict[str, Tensor]:
    """The fed parts of a state, zeros for the others."""
    zeros = {name: torch.zeros(batch, *shape, dtype=torch.float64) for name, shape in shapes.items()}
    return {name: arrays.get(f"initial_state/{name}", zero) for name, zero in zeros.items()}
