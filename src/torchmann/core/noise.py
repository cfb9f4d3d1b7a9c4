"""Noise as an input: a step draws no random number, `Recurrent` draws for it.

A stochastic cell declares what one step needs as a NamedTuple of `Draw`; the whole sequence's noise is then drawn
before the unroll. So a step compiles, is recomputed exactly, has one stream per ensemble member, and can be replayed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from torchmann.core.state import Tree


class Draw(NamedTuple):
    """One random tensor of one step.

    Attributes:
        shape: with the batch axis first, ``(B, ...)``.
        distribution: ``"normal"`` (0, 1), ``"uniform"`` on [0, 1), ``"gumbel"`` (0, 1), or ``"bernoulli"``.
        probability: of a one, for ``"bernoulli"``.
    """

    shape: tuple[int, ...]
    distribution: Literal["normal", "uniform", "gumbel", "bernoulli"]
    probability: float = 0.5


def _sample(draw: Draw, steps: int, generator: torch.Generator | None, like: Tensor) -> Tensor:
    values = torch.empty(steps, *draw.shape, dtype=like.dtype, device=like.device)
    if draw.distribution == "normal":
        return values.normal_(generator=generator)
    if draw.distribution == "uniform":
        return values.uniform_(generator=generator)
    if draw.distribution == "gumbel":
        return values.exponential_(generator=generator).log_().neg_()
    return values.bernoulli_(draw.probability, generator=generator)


def draw_noise(spec: Any, steps: int, *, generator: torch.Generator | None, like: Tensor) -> Tree:
    """Draw the noise of a sequence: the tree of `spec` with a tensor ``[T, B, ...]`` for each `Draw`.

    Args:
        spec: what ``cell.noise_spec(batch_size)`` returned; None draws nothing.
        steps: T.
        generator: the source of randomness; None uses torch's default one.
        like: a tensor whose dtype and device the noise takes.
    """
    return map_draws(lambda draw: _sample(draw, steps, generator, like), spec)


def map_draws(function: Callable[[Draw], Any], spec: Any) -> Tree:
    """Apply `function` to each `Draw` of what a ``noise_spec`` returned; None stays None."""
    if spec is None:
        return None
    if isinstance(spec, Draw):
        return function(spec)
    parts = [map_draws(function, part) for part in spec]
    return type(spec)(*parts) if hasattr(spec, "_fields") else tuple(parts)
