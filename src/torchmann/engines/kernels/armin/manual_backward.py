"""The backward pass of ARMIN, AwTA and TARDIS by hand, in plain torch: the mathematics of the kernel.

Each ``..._backward`` takes what its forward function kept and the gradient of what that gave, and returns the gradients
of what it took. `torchmann.engines.kernels.armin.manual_sequence` takes a whole cell through a sequence.

Shapes: B batch, K what a map sees, D reads, H hidden, N slots, Q comparison. ``d_x`` is the gradient of x.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from torchmann.cells import ARMINCell, TARDISCell
from torchmann.engines.kernels.manual import softmax_backward
from torchmann.memories.addressing import TardisAddressing, unit

Gradients = dict[str, Tensor]
EPSILON = 1e-3
"""Of every layer normalisation in these cells."""


def linear_backward(seen_BK: Tensor, weight: Tensor, d_value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of ``W k + b``: the gradients of k, W and b."""
    return d_value @ weight, d_value.mT @ seen_BK, d_value.sum(0)


def layer_norm_backward(value: Tensor, gain: Tensor, d_y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of ``gain x_hat + shift``: ``dx = (d_hat - mean d_hat - x_hat mean(d_hat x_hat)) / sigma``; of gain and shift."""
    centred = value - value.mean(-1, keepdim=True)
    inverse = (centred.square().mean(-1, keepdim=True) + EPSILON).rsqrt()
    hat = centred * inverse
    d_hat = d_y * gain
    d_value = inverse * (d_hat - d_hat.mean(-1, keepdim=True) - hat * (d_hat * hat).mean(-1, keepdim=True))
    return d_value, (d_y * hat).sum(0), d_y.sum(0)


def unit_backward(vector_BN: Tensor, d_unit_BN: Tensor) -> Tensor:
    """Of ``y = x / |x|``: ``(dy - y (y . dy)) / |x|``."""
    y_BN = unit(vector_BN)
    inverse_B1 = (vector_BN.square().sum(-1, keepdim=True) + 1e-12).rsqrt()
    return inverse_B1 * (d_unit_BN - y_BN * (y_BN * d_unit_BN).sum(-1, keepdim=True))


def sigmoid_slope(gate: Tensor) -> Tensor:
    """The derivative of a logistic gate."""
    return gate * (1 - gate)


# ARMIN's cell


class ARMINStep(NamedTuple):
    """What a step of the cell keeps."""

    h_BH: Tensor  # before
    r_BD: Tensor
    seen_BK: Tensor
    first: Tensor  # pre-activations of g^h and g^r
    scaled_BK: Tensor
    second: Tensor  # pre-activations of i, f, g, o^h, o^r
    new_BH: Tensor  # f h + i g
    activated: tuple[Tensor, ...]  # g^h, g^r, i, f, g, o^h, o^r, tanh of the new state


def armin_step(cell: ARMINCell, x_BI: Tensor, r_BD: Tensor, h_BH: Tensor) -> tuple[Tensor, Tensor, ARMINStep]:
    """The cell's output, the new h, and what the backward needs."""
    before = sum(cell.before)
    seen_BK = torch.cat([x_BI, r_BD, h_BH], dim=-1)
    first = F.linear(seen_BK, cell.weight_ig, cell.bias_ig)
    keep_h, keep_r = (gate.sigmoid() for gate in cell.normalised(first, cell.before, 0))
    scaled_BK = torch.cat([x_BI, keep_r * r_BD, keep_h * h_BH], dim=-1)
    second = F.linear(scaled_BK, cell.weight_go, cell.bias_go)
    i, f, g, o_h, o_r = cell.normalised(second, cell.gates, before)
    i, f, g, o_h, o_r = i.sigmoid(), f.sigmoid(), g.tanh(), o_h.sigmoid(), o_r.sigmoid()
    new_BH = f * h_BH + i * g
    (state_BH,) = cell.normalised(new_BH, [cell.hidden_size], before + sum(cell.gates))
    squashed = state_BH.tanh()
    output = o_h * squashed
    if cell.output_reads:
        output = torch.cat([output, o_r * (r_BD.tanh() if cell.squash_reads else r_BD)], dim=-1)
    activated = (keep_h, keep_r, i, f, g, o_h, o_r, squashed)
    kept = ARMINStep(h_BH, r_BD, seen_BK, first, scaled_BK, second, new_BH, activated)
    return output, squashed if cell.squash_state else state_BH, kept


def armin_step_backward(
    cell: ARMINCell, kept: ARMINStep, d_output: Tensor, d_h_BH: Tensor
) -> tuple[Tensor, Tensor, Tensor, Gradients]:
    """The gradients of x, r, the h before, and of the weights."""
    h_BH, r_BD = kept.h_BH, kept.r_BD
    keep_h, keep_r, i, f, g, o_h, o_r, squashed = kept.activated
    before, sizes = sum(cell.before), [cell.input_size - cell.read_size, cell.read_size, cell.hidden_size]
    d_shown_BH = d_output[:, : cell.hidden_size]
    d_squashed = d_shown_BH * o_h + (d_h_BH if cell.squash_state else 0)
    d_state = (0 if cell.squash_state else d_h_BH) + d_squashed * (1 - squashed.square())
    d_r_BD, d_o_r = torch.zeros_like(r_BD), torch.zeros_like(o_r)
    if cell.output_reads:
        shown_BD = r_BD.tanh() if cell.squash_reads else r_BD
        d_shown_BD = d_output[:, cell.hidden_size :]
        d_o_r = d_shown_BD * shown_BD * sigmoid_slope(o_r)
        d_r_BD = d_shown_BD * o_r * (1 - shown_BD.square() if cell.squash_reads else 1)
    d_new, *d_norm_h = normalised_backward(cell, kept.new_BH, d_state, [cell.hidden_size], before + sum(cell.gates))
    d_gates = [
        d_new * g * sigmoid_slope(i),
        d_new * h_BH * sigmoid_slope(f),
        d_new * i * (1 - g.square()),
        d_shown_BH * squashed * sigmoid_slope(o_h),
        d_o_r,
    ]
    d_second, *d_norm_go = normalised_backward(cell, kept.second, torch.cat(d_gates, -1), cell.gates, before)
    d_scaled, d_weight_go, d_bias_go = linear_backward(kept.scaled_BK, cell.weight_go, d_second)
    d_x_BI, d_kept_r, d_kept_h = d_scaled.split(sizes, dim=-1)
    d_keep = torch.cat([d_kept_h * h_BH * sigmoid_slope(keep_h), d_kept_r * r_BD * sigmoid_slope(keep_r)], dim=-1)
    d_first, *d_norm_ig = normalised_backward(cell, kept.first, d_keep, cell.before, 0)
    d_seen, d_weight_ig, d_bias_ig = linear_backward(kept.seen_BK, cell.weight_ig, d_first)
    d_seen_x, d_seen_r, d_seen_h = d_seen.split(sizes, dim=-1)
    weights = {"weight_ig": d_weight_ig, "bias_ig": d_bias_ig, "weight_go": d_weight_go, "bias_go": d_bias_go}
    if cell.layer_norm:
        parts = zip(d_norm_ig, d_norm_go, d_norm_h, strict=True)
        weights |= dict(zip(("gain", "shift"), map(torch.cat, parts), strict=True))
    d_h_BH = d_new * f + d_kept_h * keep_h + d_seen_h
    return d_x_BI + d_seen_x, d_r_BD + d_kept_r * keep_r + d_seen_r, d_h_BH, weights


def normalised_backward(
    cell: ARMINCell, value: Tensor, d_parts: Tensor, sizes: list[int], first: int
) -> tuple[Tensor, ...]:
    """Of `ARMINCell.normalised`: the gradient of the value and, with layer norm, of the gains and shifts."""
    if not cell.layer_norm:
        return (d_parts,)
    gains = cell.gain[first : first + sum(sizes)].split(sizes)
    parts = zip(value.split(sizes, -1), gains, d_parts.split(sizes, -1), strict=True)
    found = [layer_norm_backward(*part) for part in parts if len(part[1])]
    return tuple(torch.cat(each, dim=-1) for each in zip(*found, strict=True))


# TARDIS's cell


class TARDISStep(NamedTuple):
    """What a step of the cell keeps."""

    h_BH: Tensor  # before
    c_BH: Tensor  # before
    r_BD: Tensor
    seen_BK: Tensor
    scaled_BK: Tensor
    scale: Tensor  # [B, 2]: alpha, beta
    gates: tuple[Tensor, ...]  # i, f, o, g
    new_c_BH: Tensor


def tardis_step(
    cell: TARDISCell, x_BI: Tensor, r_BD: Tensor, h_BH: Tensor, c_BH: Tensor, noise: Tensor | None
) -> tuple[Tensor, Tensor, TARDISStep]:
    """The new h and c, and what the backward needs."""
    seen_BK = torch.cat([x_BI, r_BD, h_BH], dim=-1)
    scale = F.linear(seen_BK, cell.weight_scale, cell.bias_scale) + (0 if noise is None else noise)
    scale = (scale / cell.temperature).sigmoid()
    scaled_BK = torch.cat([x_BI, scale[:, 1:] * r_BD, scale[:, :1] * h_BH], dim=-1)
    g = F.linear(scaled_BK, cell.weight_candidate, cell.bias_candidate).tanh()
    i, f, o = F.linear(seen_BK, cell.weight, cell.bias).chunk(3, -1)
    peep_i, peep_f, peep_o = (0, 0, 0) if cell.peephole is None else cell.peephole
    i, f = (i + peep_i * c_BH).sigmoid(), (f + peep_f * c_BH).sigmoid()
    new_c_BH = f * c_BH + i * g
    o = (o + peep_o * new_c_BH).sigmoid()
    kept = TARDISStep(h_BH, c_BH, r_BD, seen_BK, scaled_BK, scale, (i, f, o, g), new_c_BH)
    return o * new_c_BH.tanh(), new_c_BH, kept


def tardis_step_backward(
    cell: TARDISCell, kept: TARDISStep, d_h_BH: Tensor, d_c_BH: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Gradients]:
    """The gradients of x, r, the h and c before, and of the weights."""
    i, f, o, g = kept.gates
    squashed, sizes = kept.new_c_BH.tanh(), [-1, cell.read_size, cell.hidden_size]
    sizes[0] = cell.input_size - cell.read_size
    peep_i, peep_f, peep_o = (0, 0, 0) if cell.peephole is None else cell.peephole
    d_o = d_h_BH * squashed * sigmoid_slope(o)
    d_new_c = d_c_BH + d_h_BH * o * (1 - squashed.square()) + peep_o * d_o
    d_i, d_f = d_new_c * g * sigmoid_slope(i), d_new_c * kept.c_BH * sigmoid_slope(f)
    d_c_BH = d_new_c * f + peep_i * d_i + peep_f * d_f
    d_candidate = d_new_c * i * (1 - g.square())
    d_scaled, *d_map = linear_backward(kept.scaled_BK, cell.weight_candidate, d_candidate)
    weights = dict(zip(("weight_candidate", "bias_candidate"), d_map, strict=True))
    d_x_BI, d_kept_r, d_kept_h = d_scaled.split(sizes, dim=-1)
    d_scale = torch.stack([(d_kept_h * kept.h_BH).sum(-1), (d_kept_r * kept.r_BD).sum(-1)], dim=-1)
    d_scale = d_scale * sigmoid_slope(kept.scale) / cell.temperature
    d_by_scale, *d_map = linear_backward(kept.seen_BK, cell.weight_scale, d_scale)
    weights |= dict(zip(("weight_scale", "bias_scale"), d_map, strict=True))
    d_seen, *d_map = linear_backward(kept.seen_BK, cell.weight, torch.cat([d_i, d_f, d_o], dim=-1))
    weights |= dict(zip(("weight", "bias"), d_map, strict=True))
    if cell.peephole is not None:
        along = [d_i * kept.c_BH, d_f * kept.c_BH, d_o * kept.new_c_BH]
        weights["peephole"] = torch.stack(along).sum(1)
    d_seen_x, d_seen_r, d_seen_h = (d_seen + d_by_scale).split(sizes, dim=-1)
    d_r_BD, d_h_BH = d_kept_r * kept.scale[:, 1:] + d_seen_r, d_kept_h * kept.scale[:, :1] + d_seen_h
    return d_x_BI + d_seen_x, d_r_BD, d_h_BH, d_c_BH, weights


# Addressing


def choice_backward(soft_BN: Tensor, d_weights_BN: Tensor, temperature: Tensor) -> Tensor:
    """Of the softmax at a temperature, and of the choice that passes its gradient straight through."""
    return softmax_backward(soft_BN, d_weights_BN) / temperature


class Comparison(NamedTuple):
    """What comparing the slots keeps."""

    compared_BNQ: Tensor  # tanh(common + slot)
    scores_BN: Tensor  # v . compared; less the penalty, if that comes first


def compare(
    addressing: TardisAddressing, common_BQ: Tensor, slots_BNQ: Tensor, last_read_BN: Tensor
) -> tuple[Tensor, Comparison]:
    """The logits; `common_BQ` is what all slots are compared with, `slots_BNQ` what W_m M + W_k key is."""
    compared_BNQ = (common_BQ.unsqueeze(1) + slots_BNQ).tanh()
    scores_BN = addressing.score(compared_BNQ).squeeze(-1)
    penalty_BN = addressing.penalty * last_read_BN
    if addressing.order == "penalise_first":
        scores_BN = scores_BN - penalty_BN
        return addressing.normalised(scores_BN), Comparison(compared_BNQ, scores_BN)
    return addressing.normalised(scores_BN) - penalty_BN, Comparison(compared_BNQ, scores_BN)


def compare_backward(
    addressing: TardisAddressing, kept: Comparison, d_logits_BN: Tensor
) -> tuple[Tensor, Tensor, Tensor, Gradients]:
    """The gradients of the common part, of the slots, of the last read weighting, and of the weights."""
    d_scores_BN, weights = d_logits_BN, {}
    if addressing.normalisation == "l2":
        d_scores_BN = unit_backward(kept.scores_BN, d_logits_BN)
    elif addressing.normalisation == "layer_norm":
        d_scores_BN, *d_norm = layer_norm_backward(kept.scores_BN, addressing.norm.weight, d_logits_BN)
        weights = dict(zip(("norm.weight", "norm.bias"), d_norm, strict=True))
    penalised = d_scores_BN if addressing.order == "penalise_first" else d_logits_BN
    d_last_read_BN = -addressing.penalty * addressing.penalty_gradient * penalised
    d_inner_BNQ = d_scores_BN.unsqueeze(-1) * addressing.score.weight * (1 - kept.compared_BNQ.square())
    weights["score.weight"] = torch.einsum("bn,bnq->q", d_scores_BN, kept.compared_BNQ).unsqueeze(0)
    return d_inner_BNQ.sum(1), d_inner_BNQ, d_last_read_BN, weights


# Memory


def read_backward(memory_BNW: Tensor, weights_BN: Tensor, d_read_BW: Tensor) -> tuple[Tensor, Tensor]:
    """Of ``sum_n w_n M_n``: the gradients of M and w; every slot's w has one, even if only one slot was read."""
    return weights_BN.unsqueeze(-1) * d_read_BW.unsqueeze(1), (memory_BNW @ d_read_BW.unsqueeze(-1)).squeeze(-1)


def write_backward(weights_BN: Tensor, d_after: Any) -> tuple[Any, Any]:
    """Of ``(1 - w_n) M_n + w_n e``, w a constant: the gradients of M and e; for one slot, its row goes over to e."""
    weighted = weights_BN.unsqueeze(-1) * d_after
    return d_after - weighted, weighted.sum(1)
