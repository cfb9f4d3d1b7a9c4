"""What hypothesis draws: tensors with repeated and extreme entries, weightings, sequences of interfaces.

Shapes: T time, B batch, N slots, S interface.
"""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor


def tensors(*shape: int, low: float = 0.0, high: float = 1.0, dtype: type = np.float32) -> st.SearchStrategy[Tensor]:
    """Tensors with entries in [low, high]; many entries are equal, bounds included."""
    width = 32 if dtype is np.float32 else 64
    entries = st.floats(low, high, width=width, allow_subnormal=False)
    return arrays(dtype, shape, elements=entries).map(torch.from_numpy)


def weightings(*shape: int) -> st.SearchStrategy[Tensor]:
    """Non-negative tensors whose last axis sums to at most 1."""
    return tensors(*shape).map(lambda value: value / value.sum(-1, keepdim=True).clamp_min(1))


def tied_usage(slots: int, dtype: type = np.float32) -> st.SearchStrategy[Tensor]:
    """Usages ``[2, N]`` on a coarse grid, so that most are equal to others, the bounds included."""
    return arrays(np.int64, (2, slots), elements=st.integers(0, 4)).map(
        lambda level: torch.from_numpy((level / 4).astype(dtype))
    )


@st.composite
def interfaces(draw: st.DrawFn, size: int, steps: int = 6, batch: int = 2) -> Tensor:
    """Sequences of raw interface vectors ``[T, B, S]``, from gentle to so large that every gate saturates."""
    seed, scale = draw(st.integers(0, 2**32)), draw(st.sampled_from([0.0, 0.3, 3.0, 30.0]))
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(steps, batch, size, generator=generator)
