"""Pure reference mathematics: each function is one equation of a paper."""

from torchmann.functional.activations import activation_named, oneplus
from torchmann.functional.allocation import retention, softmax_allocation, sorted_allocation, usage
from torchmann.functional.content import (
    content_weighting,
    cosine,
    cosine_clamped,
    cosine_outside,
    cosine_product,
    similarity_named,
)
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
    "cosine_product",
    "erase_and_add",
    "forward_weighting",
    "interpolation",
    "oneplus",
    "precedence",
    "read",
    "retention",
    "sharpening",
    "similarity_named",
    "softmax_allocation",
    "sorted_allocation",
    "temporal_link",
    "usage",
]
