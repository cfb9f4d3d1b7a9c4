"""Multi-head attention against loops and against torch's."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from torchmann.functional import dot_product_attention, merge_heads, split_heads

B, H, N, M, D, V = 2, 3, 4, 5, 2, 6


def qkv(heads: int = H, rows: int = M, key: int = D) -> tuple[Tensor, Tensor, Tensor]:
    return torch.randn(B, heads, N, key), torch.randn(B, heads, rows, key), torch.randn(B, heads, rows, V)


def test_attention_by_loops() -> None:
    queries, keys, values = qkv()
    gathered, weights = dot_product_attention(queries, keys, values)
    for b, h, n in ((b, h, n) for b in range(B) for h in range(H) for n in range(N)):
        scores = [math.exp(float(queries[b, h, n] @ keys[b, h, m]) / math.sqrt(D)) for m in range(M)]
        shares = torch.tensor(scores) / sum(scores)
        torch.testing.assert_close(weights[b, h, n], shares)
        torch.testing.assert_close(gathered[b, h, n], sum(shares[m] * values[b, h, m] for m in range(M)))


def test_heads_stand_side_by_side() -> None:
    rows = torch.randn(B, N, H * V)
    parts = split_heads(rows, H)
    assert parts.shape == (B, H, N, V)
    for head in range(H):
        assert torch.equal(parts[:, head], rows[..., head * V : (head + 1) * V])
    assert torch.equal(merge_heads(parts), rows)


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32), heads=st.integers(1, 3), rows=st.integers(1, 6), key=st.integers(1, 5))
def test_it_is_torchs_attention(seed: int, heads: int, rows: int, key: int) -> None:
    torch.manual_seed(seed)
    queries, keys, values = qkv(heads, rows, key)
    gathered, weights = dot_product_attention(queries, keys, values)
    torch.testing.assert_close(gathered, F.scaled_dot_product_attention(queries, keys, values), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(weights.sum(-1), torch.ones(B, heads, N))


def test_one_row_is_taken_whole_and_equal_keys_share() -> None:
    queries, keys, values = qkv(rows=1)
    torch.testing.assert_close(dot_product_attention(queries, keys, values)[0], values.expand(B, H, N, V))
    queries, keys, values = qkv()
    shared, _ = dot_product_attention(queries, torch.ones_like(keys), values)
    torch.testing.assert_close(shared, values.mean(2, keepdim=True).expand(B, H, N, V))
