"""The backward pass of an NTM's memory by hand, in plain torch: the mathematics of the kernel, equation by equation.

Each function takes what its forward function took (or gave) and the gradient of what that gave, and returns the
gradients of what it took. A kernel is these functions in another language. Forward, they are those of
`torchmann.functional` and `torchmann.memories`. `torchmann.engines.kernels.manual_sequence` takes the memory and an
LSTM through a sequence.

Shapes: B batch, H any heads, R read heads, V write heads, K levels, N slots, W width, S shift taps, I interface.
``d_x`` is the gradient of x.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from torchmann import functional
from torchmann.engines.kernels.manual import look_up_backward, softmax_backward
from torchmann.functional.activations import identity
from torchmann.memories import NTMMemory, StructuredNTMMemory
from torchmann.memories.ntm import replaced

Fields = dict[str, Tensor]


# Addressing


def interpolation_backward(
    content_BHN: Tensor, previous_BHN: Tensor, gate_BH: Tensor, d_gated_BHN: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Of ``w_g = g w_c + (1 - g) w'``: the gradients of w_c, w' and g."""
    gate_BH1 = gate_BH.unsqueeze(-1)
    d_gate_BH = (d_gated_BHN * (content_BHN - previous_BHN)).sum(-1)
    return gate_BH1 * d_gated_BHN, (1 - gate_BH1) * d_gated_BHN, d_gate_BH


def circular_shift_backward(gated_BHN: Tensor, shift_BHS: Tensor, d_shifted_BHN: Tensor) -> tuple[Tensor, Tensor]:
    """Of ``w_s[i] = sum_j w_g[j] s[i - j]``: ``dw_g[j] = sum_i dw_s[i] s[i - j]``, the shift the other way round."""
    taps = shift_BHS.shape[-1]
    rolled = [gated_BHN.roll(tap - taps // 2, dims=-1) for tap in range(taps)]
    d_shift_BHS = torch.stack([(d_shifted_BHN * each_BHN).sum(-1) for each_BHN in rolled], dim=-1)
    return functional.circular_shift(d_shifted_BHN, shift_BHS.flip(-1)), d_shift_BHS


def sharpening_backward(
    shifted_BHN: Tensor, gamma_BH: Tensor, weights_BHN: Tensor, d_weights_BHN: Tensor
) -> tuple[Tensor, Tensor]:
    """Of ``w = softmax(gamma log w_s)``: the gradients of w_s and gamma; an epsilon changes w alone."""
    d_power_BHN = softmax_backward(weights_BHN, d_weights_BHN)
    kept_BHN = shifted_BHN.clamp_min(0) + 1e-12
    d_shifted_BHN = torch.where(shifted_BHN < 0, 0, gamma_BH.unsqueeze(-1) * d_power_BHN / kept_BHN)
    return d_shifted_BHN, (d_power_BHN * kept_BHN.log()).sum(-1)


class Addressed(NamedTuple):
    """What the addressing of some heads keeps for its backward."""

    content_BHN: Tensor
    gated_BHN: Tensor
    shifted_BHN: Tensor
    weights_BHN: Tensor


def address(memory: NTMMemory, memory_BNW: Tensor, previous_BHN: Tensor, heads: Fields) -> Addressed:
    """The weightings of some heads, step by step (eqs 5-9)."""
    content_BHN = functional.content_weighting(functional.cosine(heads["key"], memory_BNW), heads["strength"])
    gated_BHN = functional.interpolation(content_BHN, previous_BHN, heads["gate"])
    shifted_BHN = functional.circular_shift(gated_BHN, heads["shift"])
    weights_BHN = functional.sharpening(shifted_BHN, heads["gamma"], memory.sharpening_epsilon)
    return Addressed(content_BHN, gated_BHN, shifted_BHN, weights_BHN)


def address_backward(
    memory_BNW: Tensor, previous_BHN: Tensor, heads: Fields, kept: Addressed, d_weights_BHN: Tensor
) -> tuple[Tensor, Tensor, Fields]:
    """Of `address`: the gradients of the memory, of the weightings before, and of the heads' fields."""
    d: Fields = {}
    d_shifted_BHN, d["gamma"] = sharpening_backward(kept.shifted_BHN, heads["gamma"], kept.weights_BHN, d_weights_BHN)
    d_gated_BHN, d["shift"] = circular_shift_backward(kept.gated_BHN, heads["shift"], d_shifted_BHN)
    d_content_BHN, d_previous_BHN, d["gate"] = interpolation_backward(
        kept.content_BHN, previous_BHN, heads["gate"], d_gated_BHN
    )
    d["key"], d["strength"], d_memory_BNW = look_up_backward(
        heads["key"], heads["strength"], memory_BNW, kept.content_BHN, d_content_BHN
    )
    return d_memory_BNW, d_previous_BHN, d


# Writing


def erase_and_add_backward(
    memory_BNW: Tensor, weights_BVN: Tensor, erase_BVW: Tensor, add_BVW: Tensor, d_memory_BNW: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of ``M' = M prod_j (1 - w^j e^j^T) + sum_j w^j a^j^T``: the gradients of M, w, e and a."""
    kept_BVNW = 1 - weights_BVN.unsqueeze(-1) * erase_BVW.unsqueeze(-2)
    heads = range(kept_BVNW.shape[1])  # the other heads' factors are multiplied out, for one of them may be zero
    others = [memory_BNW * kept_BVNW[:, [i for i in heads if i != j]].prod(1) for j in heads]
    d_erased_BVNW = -d_memory_BNW.unsqueeze(1) * torch.stack(others, dim=1)
    d_weights_BVN = add_BVW @ d_memory_BNW.mT + (d_erased_BVNW @ erase_BVW.unsqueeze(-1)).squeeze(-1)
    d_erase_BVW = (weights_BVN.unsqueeze(-2) @ d_erased_BVNW).squeeze(-2)
    return d_memory_BNW * kept_BVNW.prod(1), d_weights_BVN, d_erase_BVW, weights_BVN @ d_memory_BNW


def mixing_backward(
    mixing_2: Tensor, own_BNW: Tensor, above_BNW: Tensor, d_level_BNW: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Of ``M_k = a M~_k + b M_{k-1}``: the gradients of M~_k, of M_{k-1}, and of a and b."""
    d_mixing_2 = torch.stack([(d_level_BNW * own_BNW).sum(), (d_level_BNW * above_BNW).sum()])
    return mixing_2[0] * d_level_BNW, mixing_2[1] * d_level_BNW, d_mixing_2


# A step of the memory


class MemoryValues(NamedTuple):
    """The state of the memory, or the gradient of it; a memory without levels has one."""

    memory_BKNW: Tensor
    read_BRN: Tensor
    write_BVN: Tensor


class Turn(NamedTuple):
    """What heads that act together keep for their backward; of levels each has an entry in the lists."""

    role: str
    group: slice
    seen_BKNW: Tensor
    previous_BHN: Tensor  # the weightings of all heads of the role before the step
    addressed: list[Addressed]
    own: list[Tensor]  # what the write heads made of their levels, before the mixture
    after_BKNW: Tensor


class MemoryStep(NamedTuple):
    """What a step of the memory keeps for its backward."""

    before: MemoryValues
    fields: Fields
    turns: list[Turn]


def parts(memory: NTMMemory, role: str, group: slice) -> list[tuple[int, slice, slice]]:
    """Of heads that act together: which level they address, which weightings are theirs, whose fields they have."""
    if role == "read":
        return [(-1, group, group)]
    if not isinstance(memory, StructuredNTMMemory):
        return [(0, group, group)]
    own = [slice(level, level + 1) for level in range(memory.written_levels)]
    return [(level, mine, own[0] if memory.writes == 1 else mine) for level, mine in enumerate(own)]


def heads_of(fields: Fields, role: str, heads: slice) -> Fields:
    """The fields of some heads of a role."""
    return {name[len(role) + 1 :]: field[:, heads] for name, field in fields.items() if name.startswith(role)}


def memory_step(memory: NTMMemory, fields: Fields, before: MemoryValues) -> tuple[Tensor, MemoryValues, MemoryStep]:
    """Address, read and write in the memory's order: the reads ``[B, R W]``, the new state, what the backward needs."""
    memory_BKNW, weights = before.memory_BKNW, {"read": before.read_BRN, "write": before.write_BVN}
    mixing_2: Any = getattr(memory, "mixing", ())
    turns, reads = [], []
    for role, group in memory.turns():
        seen_BKNW, previous_BHN, addressed, own = memory_BKNW, weights[role], [], []
        for level, mine, fields_of_it in parts(memory, role, group):
            heads, seen_BNW = heads_of(fields, role, fields_of_it), seen_BKNW[:, level]
            addressed.append(address(memory, seen_BNW, previous_BHN[:, mine], heads))
            weights[role] = replaced(weights[role], mine, addressed[-1].weights_BHN)
            if role == "read":
                reads.append(functional.read(seen_BNW, addressed[-1].weights_BHN))
            else:
                written = functional.erase_and_add(seen_BNW, addressed[-1].weights_BHN, heads["erase"], heads["add"])
                own.append(written)
        if role == "write":
            levels = own[:1]
            for level in range(1, memory_BKNW.shape[1]):
                own_BNW = own[level] if level < len(own) else seen_BKNW[:, level]
                levels.append(mixing_2[0] * own_BNW + mixing_2[1] * levels[-1])
            memory_BKNW = torch.stack(levels, dim=1)
        turns.append(Turn(role, group, seen_BKNW, previous_BHN, addressed, own, memory_BKNW))
    after = MemoryValues(memory_BKNW, weights["read"], weights["write"])
    return torch.cat(reads, dim=1).flatten(1), after, MemoryStep(before, fields, turns)


def memory_step_backward(
    memory: NTMMemory, step: MemoryStep, d_reads_BRW: Tensor, d_after: MemoryValues
) -> tuple[Fields, MemoryValues]:
    """From the gradients of the reads and of the new state to those of the fields and of the state before."""
    d_fields = {name: torch.zeros_like(field) for name, field in step.fields.items()}
    d_weights = {"read": d_after.read_BRN.clone(), "write": d_after.write_BVN.clone()}
    d_levels = list(d_after.memory_BKNW.unbind(1))
    for turn in step.turns[::-1]:
        entries = list(zip(parts(memory, turn.role, turn.group), turn.addressed, strict=True))
        if turn.role == "write":
            d_levels, d_mixing_2 = unmixed(memory, turn, d_levels)
            if d_mixing_2 is not None:
                d_fields["mixing"] = d_mixing_2
        for (level, mine, fields_of_it), kept in entries:
            heads, seen_BNW = heads_of(step.fields, turn.role, fields_of_it), turn.seen_BKNW[:, level]
            d_weights_BHN, d_heads = d_weights[turn.role][:, mine], {}
            if turn.role == "read":  # r = w M
                d_weights_BHN = d_weights_BHN + d_reads_BRW[:, mine] @ seen_BNW.mT
                d_levels[level] = d_levels[level] + kept.weights_BHN.mT @ d_reads_BRW[:, mine]
            else:
                d_levels[level], by_memory_BVN, d_heads["erase"], d_heads["add"] = erase_and_add_backward(
                    seen_BNW, kept.weights_BHN, heads["erase"], heads["add"], d_levels[level]
                )
                d_weights_BHN = d_weights_BHN + by_memory_BVN
            d_seen_BNW, d_weights[turn.role][:, mine], d_address = address_backward(
                seen_BNW, turn.previous_BHN[:, mine], heads, kept, d_weights_BHN
            )
            d_levels[level] = d_levels[level] + d_seen_BNW
            for name, d in (d_heads | d_address).items():
                d_fields[f"{turn.role}_{name}"][:, fields_of_it] += d
    return d_fields, MemoryValues(torch.stack(d_levels, dim=1), d_weights["read"], d_weights["write"])


def unmixed(memory: Any, turn: Turn, d_levels: list[Tensor]) -> tuple[list[Tensor], Tensor | None]:
    """The gradients of the levels before their mixture, from the last up, and of a and b; one is as it is."""
    d_levels, d_mixing_2 = list(d_levels), None
    for level in range(len(d_levels) - 1, 0, -1):
        own_BNW = turn.own[level] if level < len(turn.own) else turn.seen_BKNW[:, level]
        d_levels[level], d_above_BNW, by_level_2 = mixing_backward(
            memory.mixing, own_BNW, turn.after_BKNW[:, level - 1], d_levels[level]
        )
        d_levels[level - 1] = d_levels[level - 1] + d_above_BNW
        d_mixing_2 = by_level_2 if d_mixing_2 is None else d_mixing_2 + by_level_2
    return d_levels, d_mixing_2


# Around it


def fields_of(memory: NTMMemory, interface_BS: Tensor) -> Fields:
    """The activated fields of an interface vector."""
    read, write = memory.heads(interface_BS)
    return {f"read_{name}": field for name, field in read.items()} | {
        f"write_{name}": field for name, field in write.items()
    }


def interface_backward(memory: NTMMemory, fields: Fields, d_fields: Fields) -> Tensor:
    """From the gradients of the activated fields to that of the interface vector ``[B, S]``."""
    derived = []
    for name in memory.read_fields | memory.write_fields:
        value, d = fields[name], d_fields[name]
        if name.endswith(("gate", "erase")):
            d = d * value * (1 - value)  # sigmoid
        elif name.endswith("strength"):
            d = d * (1 - torch.exp(-value))  # the derivative of softplus is the sigmoid
        elif name.endswith("gamma"):
            d = d * (1 - torch.exp(1 - value))
        elif name.endswith("shift"):
            d = softmax_backward(value, d)
        elif memory.key_activation is not identity:
            d = d * (1 - value.square())  # tanh of keys and add vectors
        derived.append(d.flatten(1))
    return torch.cat(derived, dim=-1)


def values_of(state: Any) -> MemoryValues:
    """An `NTMState`, with an axis of levels."""
    memory = state.memory if state.memory.dim() == 4 else state.memory.unsqueeze(1)
    return MemoryValues(memory, state.read_weights, state.write_weights)
