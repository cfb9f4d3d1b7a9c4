"""Temporal linkage: in what order slots were written.

Shapes: B batch, R read heads, V write heads, N slots. ``link[.., i, j]`` is high if i was written right after j.
Source: Graves et al. 2016, "Temporal memory linkage".
"""

from __future__ import annotations

import torch
from torch import Tensor


def temporal_link(link_BVNN: Tensor, precedence_BVN: Tensor, write_weights_BVN: Tensor) -> Tensor:
    """``L_t[i,j] = (1 - w[i] - w[j]) L_{t-1}[i,j] + w[i] p_{t-1}[j]``, ``L_t[i,i] = 0``; ``[B, V, N, N]``."""
    newer_BVN1, older_BV1N = write_weights_BVN.unsqueeze(-1), write_weights_BVN.unsqueeze(-2)
    kept_BVNN = (1 - newer_BVN1 - older_BV1N) * link_BVNN
    updated_BVNN = torch.addcmul(kept_BVNN, newer_BVN1, precedence_BVN.unsqueeze(-2))
    others_NN = 1 - torch.eye(link_BVNN.shape[-1], dtype=link_BVNN.dtype, device=link_BVNN.device)
    return updated_BVNN * others_NN  # several times as fast as filling the diagonal


def precedence(precedence_BVN: Tensor, write_weights_BVN: Tensor) -> Tensor:
    """``p_t = (1 - sum_n w[n]) p_{t-1} + w``: how much each slot was the last one written; ``[B, V, N]``."""
    return (1 - write_weights_BVN.sum(-1, keepdim=True)) * precedence_BVN + write_weights_BVN


def forward_weighting(link_BVNN: Tensor, read_weights_BRN: Tensor) -> Tensor:
    """``f^i = L_t w^{r,i}_{t-1}``: one slot on in the order of writing; ``[B, R, V, N]``."""
    return (read_weights_BRN.unsqueeze(1) @ link_BVNN.mT).transpose(1, 2)


def backward_weighting(link_BVNN: Tensor, read_weights_BRN: Tensor) -> Tensor:
    """``b^i = L_t^T w^{r,i}_{t-1}``: one slot back in the order of writing; ``[B, R, V, N]``."""
    return (read_weights_BRN.unsqueeze(1) @ link_BVNN).transpose(1, 2)
