"""Pure reference mathematics: each function is one equation of a paper."""

from torchmann.functional.activations import activation_named, oneplus
from torchmann.functional.allocation import retention, softmax_allocation, sorted_allocation, usage
from torchmann.functional.attention import dot_product_attention, merge_heads, split_heads
from torchmann.functional.content import (
    content_weighting,
    cosine,
    cosine_clamped,
    cosine_outside,
    cosine_per_width,
    cosine_product,
    similarity_named,
)
from torchmann.functional.gating import gated_update, slot_gates
from torchmann.functional.gumbel import gumbel_softmax
from torchmann.functional.linkage import backward_weighting, forward_weighting, precedence, temporal_link
from torchmann.functional.location import circular_shift, interpolation, sharpening
from torchmann.functional.read_write import erase_and_add, read

__all__ = [
    "activation_named",
    "backward_weighting",
    "circular_shift",
    "content_weighting",
    "cosine",
    "cosine_clamped",
    "cosine_outside",
    "cosine_per_width",
    "cosine_product",
    "dot_product_attention",
    "erase_and_add",
    "forward_weighting",
    "gated_update",
    "gumbel_softmax",
    "interpolation",
    "merge_heads",
    "oneplus",
    "precedence",
    "read",
    "retention",
    "sharpening",
    "similarity_named",
    "slot_gates",
    "softmax_allocation",
    "sorted_allocation",
    "split_heads",
    "temporal_link",
    "usage",
]
