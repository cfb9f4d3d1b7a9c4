"""Layouts that several sources share."""

from __future__ import annotations

import torch
from torch import Tensor

from torchmann.interop.arrays import Shape
from torchmann.interop.source_model import Arrays


def below(arrays: Arrays, prefix: str) -> Arrays:
    """The arrays under ``prefix/``, by the rest of their name."""
    return {name.removeprefix(f"{prefix}/"): array for name, array in arrays.items() if name.startswith(f"{prefix}/")}


def under(prefix: str, arrays: dict[str, Tensor]) -> Arrays:
    """The arrays with ``prefix.`` before their names."""
    return {f"{prefix}.{name}": array for name, array in arrays.items()}


def fused_lstm(kernel: Tensor, bias: Tensor, forget_bias: float) -> Arrays:
    """Parameters of `LSTMCell` from one kernel ``[I + H, 4H]``; columns: input gate, candidate, forget, output gate.

    Args:
        kernel: rows of the input, then of the previous hidden vector.
        bias: ``[4H]``.
        forget_bias: what the source adds to the forget gate at run time; here it is part of the bias.
    """
    hidden = bias.shape[0] // 4
    i, g, f, o = kernel.chunk(4, dim=1)
    weight = torch.cat([i, f, g, o], dim=1).T
    i, g, f, o = bias.chunk(4)
    bias = torch.cat([i, f + forget_bias, g, o])
    return {"weight_ih": weight[:, :-hidden], "weight_hh": weight[:, -hidden:], "bias": bias}


def limit(clip: float) -> float | None:
    """A limit as our models take it, from a source where zero means that there is none."""
    return clip if clip > 0 else None


def linear_shapes(name: str, inputs: int, outputs: int, weight: str = "w", bias: str = "b") -> dict[str, Shape]:
    """The two arrays of an affine map that is stored ``[in, out]``."""
    return {f"{name}/{weight}": (inputs, outputs), f"{name}/{bias}": (outputs,)}
