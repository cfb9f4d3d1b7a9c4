"""The yardstick: a plain eager DNC (Graves et al. 2016) in torch alone, as a careful researcher would write it.

It never changes, so that speed measured against it today can be compared with that of last year.

Legend: B batch, N slots, W width, R read heads, H hidden units, X interface.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPSILON = 1e-6


class FrozenDNC(nn.Module):
    """An LSTM controller and a memory with sorted allocation and temporal links.

    Args:
        input_size: features of a step.
        output_size: of a step.
        hidden_size: H.
        slots: N.
        width: W.
        reads: R.
    """

    def __init__(
        self, input_size: int, output_size: int, *, hidden_size: int, slots: int, width: int, reads: int
    ) -> None:
        super().__init__()
        self.hidden_size, self.slots, self.width, self.reads = hidden_size, slots, width, reads
        read_size = reads * width
        self.gates = nn.Linear(input_size + read_size + hidden_size, 4 * hidden_size)
        self.sizes = [read_size, reads, width, 1, width, width, reads, 1, 1, 3 * reads]
        self.interface = nn.Linear(hidden_size, sum(self.sizes))
        self.readout = nn.Linear(hidden_size + read_size, output_size)

    def forward(self, input_TBI: Tensor) -> Tensor:
        """Outputs ``[T, B, O]`` from a zero state."""
        batch = input_TBI.shape[1]
        zeros = input_TBI.new_zeros
        h_BH, c_BH = zeros(batch, self.hidden_size), zeros(batch, self.hidden_size)
        memory_BNW, usage_BN = zeros(batch, self.slots, self.width), zeros(batch, self.slots)
        link_BNN, precedence_BN = zeros(batch, self.slots, self.slots), zeros(batch, self.slots)
        write_BN, read_BRN = zeros(batch, self.slots), zeros(batch, self.reads, self.slots)
        vectors_BRW = zeros(batch, self.reads, self.width)
        outputs = []
        for input_BI in input_TBI:
            gates = self.gates(torch.cat([input_BI, vectors_BRW.flatten(1), h_BH], dim=1))
            i, f, g, o = gates.chunk(4, dim=1)
            c_BH = torch.sigmoid(f + 1) * c_BH + torch.sigmoid(i) * torch.tanh(g)
            h_BH = torch.sigmoid(o) * torch.tanh(c_BH)
            fields = self.interface(h_BH).split(self.sizes, dim=1)
            read_keys, read_strengths, write_key, write_strength, erase, vector, free, allocate, gate, modes = fields

            retention_BN = torch.prod(1 - torch.sigmoid(free).unsqueeze(2) * read_BRN, dim=1)
            usage_BN = (usage_BN + write_BN - usage_BN * write_BN) * retention_BN
            content_BN = self.look_up(memory_BNW, write_key.unsqueeze(1), write_strength).squeeze(1)
            allocate, gate = torch.sigmoid(allocate), torch.sigmoid(gate)
            write_BN = gate * (allocate * allocation(usage_BN) + (1 - allocate) * content_BN)
            memory_BNW = memory_BNW * (1 - write_BN.unsqueeze(2) * torch.sigmoid(erase).unsqueeze(1))
            memory_BNW = memory_BNW + write_BN.unsqueeze(2) * vector.unsqueeze(1)

            kept_BNN = 1 - write_BN.unsqueeze(2) - write_BN.unsqueeze(1)
            link_BNN = kept_BNN * link_BNN + write_BN.unsqueeze(2) * precedence_BN.unsqueeze(1)
            link_BNN = link_BNN * (1 - torch.eye(self.slots, dtype=link_BNN.dtype, device=link_BNN.device))
            precedence_BN = (1 - write_BN.sum(1, keepdim=True)) * precedence_BN + write_BN

            forward_BRN = read_BRN @ link_BNN.transpose(1, 2)
            backward_BRN = read_BRN @ link_BNN
            keys_BRW = read_keys.view(batch, self.reads, self.width)
            content_BRN = self.look_up(memory_BNW, keys_BRW, read_strengths)
            back, content, ahead = torch.softmax(modes.view(batch, self.reads, 3), dim=2).split(1, dim=2)
            read_BRN = back * backward_BRN + content * content_BRN + ahead * forward_BRN
            vectors_BRW = read_BRN @ memory_BNW
            outputs.append(self.readout(torch.cat([h_BH, vectors_BRW.flatten(1)], dim=1)))
        return torch.stack(outputs)

    def look_up(self, memory_BNW: Tensor, keys_BRW: Tensor, strengths_BR: Tensor) -> Tensor:
        """Content weighting ``[B, R, N]``: a softmax of sharpened cosine similarities."""
        norms_BN = (memory_BNW.square().sum(2) + EPSILON).sqrt()
        norms_BR = (keys_BRW.square().sum(2) + EPSILON).sqrt()
        similarity_BRN = keys_BRW @ memory_BNW.transpose(1, 2) / (norms_BR.unsqueeze(2) * norms_BN.unsqueeze(1))
        return torch.softmax(similarity_BRN * (1 + F.softplus(strengths_BR)).unsqueeze(2), dim=2)


def allocation(usage_BN: Tensor) -> Tensor:
    """Allocation weighting ``[B, N]``: the least used slot first."""
    usage_BN = EPSILON + (1 - EPSILON) * usage_BN
    sorted_BN, order_BN = usage_BN.sort(dim=1, stable=True)
    used_before_BN = F.pad(sorted_BN.cumprod(dim=1)[:, :-1], (1, 0), value=1.0)
    return torch.zeros_like(usage_BN).scatter(1, order_BN, (1 - sorted_BN) * used_before_BN)
