"""Models that differ in one keyword only, and what the choice of a similarity amounts to."""

from __future__ import annotations

import math

import torch

import torchmann as tm


def twins(*models: tm.Recurrent) -> tuple[tm.Recurrent, ...]:
    """The models, all with the parameters of the first."""
    for model in models[1:]:
        model.load_state_dict(models[0].state_dict())
    return models


def make_big(*models: tm.Recurrent, factor: float = 30.0) -> None:
    """Multiply all weights, so that limits are met."""
    with torch.no_grad():
        for model in models:
            for parameter in model.parameters():
                parameter.mul_(factor)


COSINES_OF_A_SHORT_WORD = {
    "cosine": 4 / (5 + 1),  # norms sqrt(4e-6 + 1e-6), their product + 1e-6
    "cosine_outside": 4 / (2.001**2 + 1),  # norms 2e-3 + 1e-6
    "cosine_per_width": 4 / (3 * 2.001**2 + 1),  # width 3, norms as for cosine_outside
    "cosine_product": 4e-6 / (4e-6 + 1e-3),  # norms 2e-3, and an epsilon of its own
    "cosine_clamped": 1.0,  # 4e-6 is above its bound of 1e-12
}
"""The similarity of a word of length 2e-3 with itself at the similarity's own epsilon, by hand."""


def softmax_of_five(similarity: float, strength: float = 5.0) -> float:
    """The content weight of one slot with that similarity among five, the other four having none."""
    return math.exp(strength * similarity) / (math.exp(strength * similarity) + 4)
