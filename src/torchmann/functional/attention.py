"""Multi-head dot-product attention.

Shapes: B batch, H heads, N rows that look, M rows that are looked at, F all heads' numbers, D key, V value.
Source: Vaswani et al. 2017, "Attention is all you need", sections 3.2.1-3.2.2.
"""

from __future__ import annotations

from torch import Tensor


def split_heads(rows_BNF: Tensor, heads: int) -> Tensor:
    """Each head's part of rows in which the heads stand side by side, ``[B, H, N, F / H]``."""
    return rows_BNF.unflatten(-1, (heads, -1)).transpose(1, 2)


def merge_heads(parts_BHNV: Tensor) -> Tensor:
    """The heads side by side, ``[B, N, H * V]``; the inverse of `split_heads`."""
    return parts_BHNV.transpose(1, 2).flatten(-2)


def dot_product_attention(queries_BHND: Tensor, keys_BHMD: Tensor, values_BHMV: Tensor) -> tuple[Tensor, Tensor]:
    """What every row gathers, ``softmax(q k^T / sqrt(D)) v`` ``[B, H, N, V]`` (eq. 1), and the softmax itself."""
    scaled_BHND = queries_BHND * queries_BHND.shape[-1] ** -0.5
    weights_BHNM = (scaled_BHND @ keys_BHMD.mT).softmax(-1)
    return weights_BHNM @ values_BHMV, weights_BHNM
