"""Temporal links of which each slot keeps the strongest few: what was written before it, and what after.

Shapes: B batch, R read heads, V write heads, N slots, E entries of a row, C slots that were written, A entries to add.
``forward`` row i: the slots j right after which i was written (``L`` of the DNC); ``backward`` row i: those that were
written right after i (``L^T``). A row that has room keeps slots with the value zero; its slots always differ.
Source: Rae et al. 2016, supplement on the sparse differentiable neural computer.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from torchmann.core.state import state
from torchmann.memories.search import largest

LinkRule = Literal["one_factor", "dnc"]
"""How a link fades: ``1 - w[i]`` alone, so that the written rows change only, or ``1 - w[i] - w[j]``."""


@state
class SparseRows(NamedTuple):
    """Rows of N numbers, of which E are kept and the others are zero."""

    slots: Tensor  # [..., E] int64
    values: Tensor  # [..., E]


@state
class SparseLinks(NamedTuple):
    """Which slot was written last, and the links in both directions."""

    precedence: SparseRows  # [B, V, E]
    forward: SparseRows  # [B, V, N, E]
    backward: SparseRows  # [B, V, N, E]


def empty_rows(shape: tuple[int, ...], entries: int, like: Tensor) -> SparseRows:
    """Rows of zeros of `shape`, in the dtype and on the device of `like`."""
    slots = torch.arange(entries, device=like.device).expand(*shape, -1)
    return SparseRows(slots, like.new_zeros(*shape, entries))


def with_added(rows: SparseRows, slots: Tensor, values: Tensor) -> SparseRows:
    """``rows [..., E]`` plus rows with `values` at `slots`, both ``[..., A]``; the E largest entries are kept.

    Of equal entries the lower slot is kept; the choice passes no gradient. The added slots must differ.
    """
    same_EA = rows.slots.unsqueeze(-1) == slots.unsqueeze(-2)
    summed_E = rows.values + (same_EA * values.unsqueeze(-2)).sum(-1)
    all_slots, all_values = torch.cat([rows.slots, slots], dim=-1), torch.cat([summed_E, values], dim=-1)
    there_already = torch.cat([torch.zeros_like(rows.slots, dtype=torch.bool), same_EA.any(-2)], dim=-1)
    kept = largest(all_values.masked_fill(there_already, -torch.inf), rows.slots.shape[-1], all_slots)
    return SparseRows(all_slots.gather(-1, kept), all_values.gather(-1, kept))


def with_products(links: SparseRows, rows: SparseRows, columns: SparseRows) -> SparseRows:
    """``links + rows columns^T`` without the diagonal: only the rows that `rows` names change, and must differ."""
    products_BVCA = rows.values.unsqueeze(-1) * columns.values.unsqueeze(-2)
    products_BVCA = products_BVCA.masked_fill(rows.slots.unsqueeze(-1) == columns.slots.unsqueeze(-2), 0)
    place_BVCE = rows.slots.unsqueeze(-1).expand(-1, -1, -1, links.slots.shape[-1])
    chosen = SparseRows(links.slots.gather(2, place_BVCE), links.values.gather(2, place_BVCE))
    new = with_added(chosen, columns.slots.unsqueeze(-2).expand_as(products_BVCA), products_BVCA)
    return SparseRows(links.slots.scatter(2, place_BVCE, new.slots), links.values.scatter(2, place_BVCE, new.values))


def at(weights_BVN: Tensor, links: SparseRows) -> Tensor:
    """The weight of the slot that each entry of ``links [B, V, N, E]`` points to, ``[B, V, N, E]``."""
    return weights_BVN.gather(-1, links.slots.flatten(2)).view_as(links.slots)


def updated_links(links: SparseLinks, write_weights_BVN: Tensor, written: int, rule: LinkRule) -> SparseLinks:
    """The links after a write, and then the precedence ``p_t = (1 - sum_n w[n]) p_{t-1} + w``::

        forward[i, j] = (1 - w[i]) forward[i, j] + w[i] p_{t-1}[j]
        backward[i, j] = (1 - w[j]) backward[i, j] + w[j] p_{t-1}[i]

    and with the rule ``"dnc"`` both fade by ``1 - w[i] - w[j]``.

    Args:
        links: of before.
        write_weights_BVN: w, zero but for at most `written` slots of each head.
        written: C.
        rule: how links fade.
    """
    slots_BVC = largest(write_weights_BVN, written)
    write = SparseRows(slots_BVC, write_weights_BVN.gather(-1, slots_BVC))
    row_BVN1 = write_weights_BVN.unsqueeze(-1)
    forward_fades, backward_fades = row_BVN1, at(write_weights_BVN, links.backward)
    if rule == "dnc":
        forward_fades = forward_fades + at(write_weights_BVN, links.forward)
        backward_fades = backward_fades + row_BVN1
    forward = links.forward._replace(values=(1 - forward_fades) * links.forward.values)
    backward = links.backward._replace(values=(1 - backward_fades) * links.backward.values)
    last_BV1 = 1 - write_weights_BVN.sum(-1, keepdim=True)
    faded = links.precedence._replace(values=last_BV1 * links.precedence.values)
    return SparseLinks(
        precedence=with_added(faded, *write),
        forward=with_products(forward, write, links.precedence),
        backward=with_products(backward, links.precedence, write),
    )


def directional_weighting(links: SparseRows, read_weights_BRN: Tensor) -> Tensor:
    """``f = forward w^R_{t-1}`` or ``b = backward w^R_{t-1}``, ``[B, R, V, N]``, each summing to at most one.

    With the rule ``"one_factor"`` the columns of the links are not bounded, and what they give may sum to more; it is
    then divided by its sum, so that a way stays a weighting.
    """
    heads, (_, writes, slots, entries) = read_weights_BRN.shape[1], links.slots.shape
    read_BRVN = read_weights_BRN.unsqueeze(2).expand(-1, -1, writes, -1)
    place_BRVNE = links.slots.unsqueeze(1).expand(-1, heads, -1, -1, -1)
    read_BRVNE = read_BRVN.gather(-1, place_BRVNE.flatten(3)).unflatten(-1, (slots, entries))
    way_BRVN = (read_BRVNE * links.values.unsqueeze(1)).sum(-1)
    return way_BRVN / way_BRVN.sum(-1, keepdim=True).clamp_min(1)
