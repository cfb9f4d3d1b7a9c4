"""Temporal links in the form of pytorch-dnc: between all slots and the few that became visible by links.

Shapes: B batch, N slots, C visible rows, L temporal slots, half of them by the forward links.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from torchmann.core.state import state
from torchmann.memories.search import largest


@state
class VisibleLinks(NamedTuple):
    """Column l belongs to the l-th temporal slot of the last read, whichever slot that is."""

    precedence: Tensor  # [B, L]
    forward: Tensor  # [B, N, L]
    backward: Tensor  # [B, N, L]


def replaced_at(values: Tensor, positions_BC: Tensor, new: Tensor) -> Tensor:
    """``values [B, N, ...]`` with ``new [B, C, ...]`` at the positions; of equal positions the last one counts."""
    same_BCC = positions_BC.unsqueeze(-1) == positions_BC.unsqueeze(-2)
    last_BC = ~same_BCC.triu(1).any(-1)
    trailing = [1] * (values.dim() - 2)
    place = positions_BC.view(*positions_BC.shape, *trailing).expand_as(new)
    return values.scatter(1, place, 0.0).scatter_add(1, place, new * last_BC.view(*last_BC.shape, *trailing))


def empty_links(memory_BNW: Tensor, temporal: int) -> VisibleLinks:
    """No links, for L = `temporal`."""
    batch, slots, _ = memory_BNW.shape
    none_BNL = memory_BNW.new_zeros(batch, slots, temporal)
    return VisibleLinks(memory_BNW.new_zeros(batch, temporal), none_BNL, none_BNL)


def updated_links(links: VisibleLinks, write_weights_BN: Tensor, read_BL: Tensor, temporal_BL: Tensor) -> VisibleLinks:
    """The links after a write, and then the precedence, which follows the reads: ``p = (1 - sum_l r[l]) p + r``::

        forward[i, j] = (1 - w[i]) forward[i, j] + w[i] p[j]
        backward[i, j] = (1 - w[j]) backward[i, j] + w[j] p[i]

    for all slots i and temporal slots j; what stands where i equals the number of the column is zero.

    Args:
        links: of before.
        write_weights_BN: w, of each slot when it was last written.
        read_BL: r, the read weights of the temporal slots.
        temporal_BL: the temporal slots.
    """
    rows, columns = links.forward.shape[1:]
    off_diagonal_NL = 1 - torch.eye(rows, columns, dtype=read_BL.dtype, device=read_BL.device)
    precedence_BN = replaced_at(torch.zeros_like(write_weights_BN), temporal_BL, links.precedence)
    write_B1L = write_weights_BN.gather(1, temporal_BL).unsqueeze(1)
    forward_BNL = torch.lerp(links.forward, links.precedence.unsqueeze(1), write_weights_BN.unsqueeze(-1))
    backward_BNL = torch.lerp(links.backward, precedence_BN.unsqueeze(-1), write_B1L)
    faded_BL = (1 - read_BL.sum(-1, keepdim=True)) * links.precedence
    return VisibleLinks(faded_BL + read_BL, forward_BNL * off_diagonal_NL, backward_BNL * off_diagonal_NL)


def linked_slots(links: VisibleLinks, read_BL: Tensor) -> Tensor:
    """The new temporal slots ``[B, L]``: those that the links reach best from the last read, half in each direction."""
    half = read_BL.shape[-1] // 2
    ways = [(way_BNL @ read_BL.unsqueeze(-1)).squeeze(-1) for way_BNL in (links.forward, links.backward)]
    return torch.cat([largest(way_BN, half) for way_BN in ways], dim=-1)
