"""A plain DNC, as one would write it from the paper with torch alone: the yardstick of the benchmarks, never changed.

Shapes: T time, B batch, I input, H hidden, O output, R read heads, N slots, W width.
Source: Graves et al. 2016, "Hybrid computing using a neural network with dynamic external memory", Methods.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FrozenDNC(nn.Module):
    """``model(input [T, B, I]) -> [T, B, O]``: an LSTM controller, sorted allocation, links, every step dense."""

    def __init__(self, inputs: int, hidden: int, outputs: int, slots: int, width: int, heads: int = 1) -> None:
        super().__init__()
        self.hidden, self.slots, self.width, self.heads = hidden, slots, width, heads
        self.gates = nn.Linear(inputs + heads * width + hidden, 4 * hidden)
        self.sizes = [heads * width, heads, width, 1, width, width, heads, 1, 1, 3 * heads]
        self.interface = nn.Linear(hidden, sum(self.sizes))
        self.readout = nn.Linear(hidden + heads * width, outputs)
        self.register_buffer("diagonal", torch.eye(slots, dtype=torch.bool))

    def content(self, keys: Tensor, strengths: Tensor, memory: Tensor) -> Tensor:
        """Softmax over the slots of strength times cosine similarity."""
        key_norm = (keys.square().sum(-1, keepdim=True) + 1e-6).sqrt()
        memory_norm = (memory.square().sum(-1) + 1e-6).sqrt().unsqueeze(1)
        similarity = keys @ memory.transpose(1, 2) / (key_norm * memory_norm + 1e-6)
        return (similarity * strengths.unsqueeze(-1)).softmax(-1)

    def allocation(self, usage: Tensor) -> Tensor:
        """The least used slot first."""
        ascending, order = (1e-6 + (1 - 1e-6) * usage).sort(dim=-1, stable=True)
        before = torch.cat([torch.ones_like(ascending[:, :1]), ascending[:, :-1]], dim=-1).cumprod(-1)
        return torch.zeros_like(usage).scatter(-1, order, (1 - ascending) * before)

    def forward(self, inputs: Tensor) -> Tensor:
        """Run over a sequence from an empty memory."""
        B, N, R = inputs.shape[1], self.slots, self.heads
        h = c = inputs.new_zeros(B, self.hidden)
        reads = inputs.new_zeros(B, R * self.width)
        memory, link = inputs.new_zeros(B, N, self.width), inputs.new_zeros(B, N, N)
        usage = written = precedence = inputs.new_zeros(B, N)
        read = inputs.new_zeros(B, R, N)
        outputs = []
        for x in inputs:
            i, f, g, o = self.gates(torch.cat([x, reads, h], dim=-1)).chunk(4, dim=-1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            fields = self.interface(h).split(self.sizes, dim=-1)
            keys, read_strength = fields[0].unflatten(-1, (R, -1)), 1 + F.softplus(fields[1])
            write_key, write_strength = fields[2].unsqueeze(1), 1 + F.softplus(fields[3])
            erase, vector = fields[4].sigmoid(), fields[5]
            free, allocate, write = fields[6].sigmoid(), fields[7].sigmoid(), fields[8].sigmoid()
            modes = fields[9].unflatten(-1, (R, 3)).softmax(-1)

            retention = (1 - free.unsqueeze(-1) * read).prod(1)
            before = written.detach()
            usage = (usage + before - usage * before) * retention
            looked_up = self.content(write_key, write_strength, memory).squeeze(1)
            written = write * (allocate * self.allocation(usage) + (1 - allocate) * looked_up)
            memory = memory * (1 - written.unsqueeze(-1) * erase.unsqueeze(1))
            memory = memory + written.unsqueeze(-1) * vector.unsqueeze(1)
            newer, older = written.unsqueeze(-1), written.unsqueeze(1)
            link = (1 - newer - older) * link + newer * precedence.unsqueeze(1)
            link = link.masked_fill(self.diagonal, 0)
            precedence = (1 - written.sum(-1, keepdim=True)) * precedence + written

            ahead, back = read @ link.transpose(1, 2), read @ link
            looked_up = self.content(keys, read_strength, memory)
            read = modes[..., :1] * back + modes[..., 1:2] * looked_up + modes[..., 2:] * ahead
            reads = (read @ memory).flatten(1)
            outputs.append(self.readout(torch.cat([h, reads], dim=-1)))
        return torch.stack(outputs)
