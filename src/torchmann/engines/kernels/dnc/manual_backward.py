"""The backward pass of a DNC's memory by hand, in plain torch: the mathematics of the kernel, equation by equation.

Each function takes what its forward function took (or gave) and the gradient of what that gave, and returns the
gradients of what it took. A kernel is these functions in another language. Forward, they are those of
`torchmann.functional`; here is one write head, with sorted or softmax allocation, with links or without.
`torchmann.engines.kernels.manual_sequence` takes the memory and an LSTM through a sequence.

Shapes: B batch, R read heads, N slots, W width, S interface. ``d_x`` is the gradient of x.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from torchmann import functional
from torchmann.engines.kernels.manual import look_up_backward, softmax_backward
from torchmann.memories import DNCMemory

Fields = dict[str, Tensor]


# Allocation


def usage_backward(
    usage_BN: Tensor, written_BN: Tensor, free_BR: Tensor, read_BRN: Tensor, d_usage_BN: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of ``u' = (u + w - u w) psi``, ``psi = prod_r (1 - f_r wr_r)``: the gradients of u, w, f and wr."""
    factors_BRN = 1 - free_BR.unsqueeze(-1) * read_BRN
    retention_BN = factors_BRN.prod(1)
    used_BN = usage_BN + written_BN - usage_BN * written_BN
    d_used_BN, d_retention_BN = d_usage_BN * retention_BN, d_usage_BN * used_BN
    heads = range(free_BR.shape[1])  # the other heads' factors are multiplied out, for one of them may be zero
    others = [factors_BRN[:, [q for q in heads if q != r]].prod(1) for r in heads]
    d_factors_BRN = d_retention_BN.unsqueeze(1) * torch.stack(others, dim=1)
    d_free_BR = -(d_factors_BRN * read_BRN).sum(-1)
    d_read_BRN = -d_factors_BRN * free_BR.unsqueeze(-1)
    return d_used_BN * (1 - written_BN), d_used_BN * (1 - usage_BN), d_free_BR, d_read_BRN


def sorted_allocation_backward(usage_BN: Tensor, d_allocation_BN: Tensor, floor: float) -> Tensor:
    """Of ``a_j = (1 - u_j) prod_{i<j} u_i``, slots in ascending order, u squeezed above `floor`.

    What all slots after j gain from u_j is ``rest_j = sum_{m>j} da_m (1 - u_m) prod_{j<i<m} u_i``, which follows from
    the last slot on by ``rest_{j-1} = da_j (1 - u_j) + u_j rest_j``; then ``du_j = prod_{i<j} u_i (rest_j - da_j)``.
    """
    ascending_BN, order_BN = (floor + (1 - floor) * usage_BN).sort(dim=-1, stable=True)
    d_BN = d_allocation_BN.gather(-1, order_BN)
    before_BN = torch.cat([torch.ones_like(ascending_BN[:, :1]), ascending_BN[:, :-1]], dim=-1).cumprod(-1)
    rest_B, rests = torch.zeros_like(d_BN[:, 0]), []
    for d_B, u_B in zip(d_BN.unbind(-1)[::-1], ascending_BN.unbind(-1)[::-1], strict=True):
        rests.append(rest_B)
        rest_B = d_B * (1 - u_B) + u_B * rest_B
    d_ascending_BN = before_BN * (torch.stack(rests[::-1], dim=-1) - d_BN)
    return (1 - floor) * torch.zeros_like(usage_BN).scatter(-1, order_BN, d_ascending_BN)


def softmax_allocation_backward(
    usage_BN: Tensor, strength_B: Tensor, allocation_BN: Tensor, d_allocation_BN: Tensor
) -> tuple[Tensor, Tensor]:
    """Of ``a = softmax(beta (1 - u))``: the gradients of u and beta."""
    d_logits_BN = softmax_backward(allocation_BN, d_allocation_BN)
    return -strength_B.unsqueeze(-1) * d_logits_BN, (d_logits_BN * (1 - usage_BN)).sum(-1)


# Writing and linking


def erase_and_add_backward(
    memory_BNW: Tensor, write_BN: Tensor, erase_BW: Tensor, add_BW: Tensor, d_memory_BNW: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of ``M' = M (1 - w e^T) + w v^T``: the gradients of M, w, e and v."""
    erased_BNW = d_memory_BNW * memory_BNW
    d_write_BN = (d_memory_BNW @ add_BW.unsqueeze(-1) - erased_BNW @ erase_BW.unsqueeze(-1)).squeeze(-1)
    d_erase_BW = -(write_BN.unsqueeze(1) @ erased_BNW).squeeze(1)
    d_add_BW = (write_BN.unsqueeze(1) @ d_memory_BNW).squeeze(1)
    kept_BNW = 1 - write_BN.unsqueeze(-1) * erase_BW.unsqueeze(1)
    return d_memory_BNW * kept_BNW, d_write_BN, d_erase_BW, d_add_BW


def precedence_backward(precedence_BN: Tensor, write_BN: Tensor, d_precedence_BN: Tensor) -> tuple[Tensor, Tensor]:
    """Of ``p' = (1 - sum w) p + w``: the gradients of p and w."""
    d_write_BN = d_precedence_BN - (d_precedence_BN * precedence_BN).sum(-1, keepdim=True)
    return (1 - write_BN.sum(-1, keepdim=True)) * d_precedence_BN, d_write_BN


def temporal_link_backward(
    link_BNN: Tensor, precedence_BN: Tensor, write_BN: Tensor, d_link_BNN: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Of ``L'[i,j] = (1 - w[i] - w[j]) L[i,j] + w[i] p[j]``, ``L'[i,i] = 0``: the gradients of L, p and w."""
    eye_NN = torch.eye(link_BNN.shape[-1], dtype=torch.bool, device=link_BNN.device)
    d_link_BNN = d_link_BNN.masked_fill(eye_NN, 0)
    newer_BN1, older_B1N = write_BN.unsqueeze(-1), write_BN.unsqueeze(1)
    lost_BNN = d_link_BNN * link_BNN
    d_write_BN = (d_link_BNN @ precedence_BN.unsqueeze(-1)).squeeze(-1) - lost_BNN.sum(-1) - lost_BNN.sum(-2)
    d_precedence_BN = (write_BN.unsqueeze(1) @ d_link_BNN).squeeze(1)
    return (1 - newer_BN1 - older_B1N) * d_link_BNN, d_precedence_BN, d_write_BN


def follow_links_backward(
    link_BNN: Tensor, read_BRN: Tensor, d_forward_BRN: Tensor, d_backward_BRN: Tensor
) -> tuple[Tensor, Tensor]:
    """Of ``f = L wr`` and ``b = L^T wr``: the gradients of L and wr."""
    d_link_BNN = d_forward_BRN.mT @ read_BRN + read_BRN.mT @ d_backward_BRN
    return d_link_BNN, d_forward_BRN @ link_BNN + d_backward_BRN @ link_BNN.mT


# A step of the memory


class MemoryValues(NamedTuple):
    """The state of the memory, or the gradient of it; without links the last two are None."""

    memory_BNW: Tensor
    usage_BN: Tensor
    write_BN: Tensor
    read_BRN: Tensor
    precedence_BN: Any
    link_BNN: Any


class MemoryStep(NamedTuple):
    """What a step of the memory keeps for its backward."""

    before: MemoryValues
    fields: Fields
    usage_BN: Tensor
    looked_up_BN: Tensor
    allocation_BN: Tensor
    write_BN: Tensor
    memory_BNW: Tensor
    link_BNN: Any
    content_BRN: Tensor
    read_BRN: Tensor


def memory_step(memory: DNCMemory, fields: Fields, before: MemoryValues) -> tuple[Tensor, MemoryValues, MemoryStep]:
    """Free, allocate, write, link, read: the reads ``[B, R W]``, the new state, and what the backward needs."""
    psi_BN = functional.retention(fields["free_gate"], before.read_BRN)
    usage_BN = functional.usage(before.usage_BN, before.write_BN.unsqueeze(1), psi_BN)
    if memory.allocation_rule == "softmax":
        allocation_BN = functional.softmax_allocation(usage_BN, fields["allocation_strength"][:, 0])
    else:
        allocation_BN = functional.sorted_allocation(usage_BN, memory.usage_floor)
    similarity_B1N = functional.cosine(fields["write_key"], before.memory_BNW)
    looked_up_BN = functional.content_weighting(similarity_B1N, fields["write_strength"])[:, 0]
    gate_B1 = fields["allocation_gate"]
    write_BN = fields["write_gate"] * (gate_B1 * allocation_BN + (1 - gate_B1) * looked_up_BN)
    erase_B1W, add_B1W = fields["erase"], fields["write_vector"]
    memory_BNW = functional.erase_and_add(before.memory_BNW, write_BN.unsqueeze(1), erase_B1W, add_B1W)

    similarity_BRN = functional.cosine(fields["read_key"], memory_BNW)
    content_BRN = functional.content_weighting(similarity_BRN, fields["read_strength"])
    read_BRN, precedence_BN, link_BNN = content_BRN, None, None
    if memory.links:
        write_B1N, precedence_B1N = write_BN.unsqueeze(1), before.precedence_BN.unsqueeze(1)
        link_BNN = functional.temporal_link(before.link_BNN.unsqueeze(1), precedence_B1N, write_B1N)[:, 0]
        precedence_BN = functional.precedence(precedence_B1N, write_B1N)[:, 0]
        ahead_BRN, back_BRN = before.read_BRN @ link_BNN.mT, before.read_BRN @ link_BNN
        mode_BRM = fields["read_mode"].unsqueeze(-2)
        read_BRN = (mode_BRM @ torch.stack([back_BRN, content_BRN, ahead_BRN], dim=2)).squeeze(2)
    after = MemoryValues(memory_BNW, usage_BN, write_BN, read_BRN, precedence_BN, link_BNN)
    kept = MemoryStep(
        before, fields, usage_BN, looked_up_BN, allocation_BN, write_BN, memory_BNW, link_BNN, content_BRN, read_BRN
    )
    return (read_BRN @ memory_BNW).flatten(1), after, kept


def read_backward(
    memory: DNCMemory, step: MemoryStep, d_reads_BRW: Tensor, d_after: MemoryValues
) -> tuple[Fields, Tensor, Tensor, Any]:
    """The reading half: the gradients of its fields, of the memory read, of the last read weightings, of the links."""
    fields, before = step.fields, step.before
    d_read_BRN = d_after.read_BRN + d_reads_BRW @ step.memory_BNW.mT
    d_memory_BNW = d_after.memory_BNW + step.read_BRN.mT @ d_reads_BRW
    d_fields, d_content_BRN, d_before_BRN, d_link_BNN = {}, d_read_BRN, torch.zeros_like(d_read_BRN), None
    if memory.links:
        back_BR1, content_BR1, ahead_BR1 = fields["read_mode"].unsqueeze(-1).unbind(2)
        ways = (before.read_BRN @ step.link_BNN, step.content_BRN, before.read_BRN @ step.link_BNN.mT)
        d_fields["read_mode"] = torch.stack([(d_read_BRN * way_BRN).sum(-1) for way_BRN in ways], dim=-1)
        d_content_BRN = content_BR1 * d_read_BRN
        d_link_BNN, d_before_BRN = follow_links_backward(
            step.link_BNN, before.read_BRN, ahead_BR1 * d_read_BRN, back_BR1 * d_read_BRN
        )
        d_link_BNN = d_after.link_BNN + d_link_BNN
    d_fields["read_key"], d_fields["read_strength"], d_looked_up_BNW = look_up_backward(
        fields["read_key"], fields["read_strength"], step.memory_BNW, step.content_BRN, d_content_BRN
    )
    return d_fields, d_memory_BNW + d_looked_up_BNW, d_before_BRN, d_link_BNN


def memory_step_backward(
    memory: DNCMemory, step: MemoryStep, d_reads_BRW: Tensor, d_after: MemoryValues
) -> tuple[Fields, MemoryValues]:
    """From the gradients of the reads and of the new state to those of the fields and of the state before."""
    fields, before = step.fields, step.before
    d_fields, d_memory_BNW, d_read_BRN, d_link_BNN = read_backward(memory, step, d_reads_BRW, d_after)
    d_write_BN, d_precedence_BN = d_after.write_BN, None
    if memory.links:
        d_precedence_BN, by_precedence_BN = precedence_backward(
            before.precedence_BN, step.write_BN, d_after.precedence_BN
        )
        d_link_BNN, by_links_BN, d_by_links_BN = temporal_link_backward(
            before.link_BNN, before.precedence_BN, step.write_BN, d_link_BNN
        )
        d_precedence_BN = d_precedence_BN + by_links_BN
        d_write_BN = d_write_BN + by_precedence_BN + d_by_links_BN
    d_memory_BNW, by_memory_BN, d_erase_BW, d_add_BW = erase_and_add_backward(
        before.memory_BNW, step.write_BN, fields["erase"][:, 0], fields["write_vector"][:, 0], d_memory_BNW
    )
    d_write_BN = d_write_BN + by_memory_BN
    d_fields |= {"erase": d_erase_BW.unsqueeze(1), "write_vector": d_add_BW.unsqueeze(1)}

    # w = g^w (g^a a + (1 - g^a) c)
    gate_B1, write_gate_B1 = fields["allocation_gate"], fields["write_gate"]
    ungated_BN = gate_B1 * step.allocation_BN + (1 - gate_B1) * step.looked_up_BN
    more_BN = step.allocation_BN - step.looked_up_BN
    d_fields["write_gate"] = (d_write_BN * ungated_BN).sum(-1, keepdim=True)
    d_fields["allocation_gate"] = write_gate_B1 * (d_write_BN * more_BN).sum(-1, keepdim=True)
    d_allocation_BN = write_gate_B1 * gate_B1 * d_write_BN
    d_looked_up_B1N = (write_gate_B1 * (1 - gate_B1) * d_write_BN).unsqueeze(1)
    d_fields["write_key"], d_fields["write_strength"], d_looked_up_BNW = look_up_backward(
        fields["write_key"],
        fields["write_strength"],
        before.memory_BNW,
        step.looked_up_BN.unsqueeze(1),
        d_looked_up_B1N,
    )
    if memory.allocation_rule == "softmax":
        strength_B = fields["allocation_strength"][:, 0]
        d_usage_BN, d_strength_B = softmax_allocation_backward(
            step.usage_BN, strength_B, step.allocation_BN, d_allocation_BN
        )
        d_fields["allocation_strength"] = d_strength_B.unsqueeze(-1)
    else:
        d_usage_BN = sorted_allocation_backward(step.usage_BN, d_allocation_BN, memory.usage_floor)
    d_usage_BN, d_written_BN, d_fields["free_gate"], by_usage_BRN = usage_backward(
        before.usage_BN, before.write_BN, fields["free_gate"], before.read_BRN, d_after.usage_BN + d_usage_BN
    )
    if not memory.usage_gradient:
        d_written_BN = torch.zeros_like(d_written_BN)
    d_before = MemoryValues(
        d_memory_BNW + d_looked_up_BNW, d_usage_BN, d_written_BN, d_read_BRN + by_usage_BRN, d_precedence_BN, d_link_BNN
    )
    return d_fields, d_before


def fields_of(memory: DNCMemory, interface_BS: Tensor) -> Fields:
    """The activated fields of an interface vector."""
    return memory.interface(interface_BS)


def interface_backward(memory: DNCMemory, fields: Fields, d_fields: Fields) -> Tensor:
    """From the gradients of the activated fields to that of the interface vector ``[B, S]``."""
    parts = []
    for name in memory.fields:
        value, d = fields[name], d_fields[name]
        if name in ("erase", "free_gate", "allocation_gate", "write_gate"):
            d = d * value * (1 - value)  # sigmoid
        elif name.endswith("strength"):
            d = d * (1 - torch.exp(1 - value))  # oneplus: the derivative of softplus is the sigmoid
        elif name == "read_mode":
            d = softmax_backward(value, d)
        parts.append(d.flatten(1))
    return torch.cat(parts, dim=-1)


def values_of(state: Any) -> MemoryValues:
    """A `DNCState` without the axis of write heads."""
    links = (state.precedence[:, 0], state.link[:, 0]) if isinstance(state.link, Tensor) else (None, None)
    return MemoryValues(state.memory, state.usage, state.write_weights[:, 0], state.read_weights, *links)
