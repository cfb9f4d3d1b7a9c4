"""Sums of parameter gradients over the steps of a sequence.

Shapes: R rows of several steps together, I input and O output of an affine map.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from torchmann.engines.graphs.affine_maps import Affine

ROWS = 1024
"""So many rows make a matrix product about as fast as it gets; more would only take memory."""


class ParameterGradients:
    """The gradient of each parameter, summed up step by step.

    The weight of an affine map needs one matrix product for many steps: its factors are collected until they are large
    enough.

    Args:
        parameters: whose gradients.
    """

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        self.parameters = parameters
        self.totals: list[Tensor | None] = [None] * len(parameters)
        self.factors: dict[Affine, tuple[list[Tensor], list[Tensor]]] = {}

    def add(
        self,
        gradients: Sequence[Tensor | None],
        maps: Sequence[Affine],
        d_outputs: Sequence[Tensor | None],
        inputs: Sequence[Tensor],
    ) -> None:
        """Add what one step gives.

        Args:
            gradients: of the parameters but for their part in `maps`; None is zero.
            maps: the affine maps of the step.
            d_outputs: of each map the gradient of its output; None is zero.
            inputs: of each map.
        """
        there = {number: gradient for number, gradient in enumerate(gradients) if gradient is not None}
        if there:
            torch._foreach_add_([self.total_of(number) for number in there], list(there.values()))
        for affine, d_output, given in zip(maps, d_outputs, inputs, strict=True):
            if d_output is not None:
                d_outputs_, inputs_ = self.factors.setdefault(affine, ([], []))
                d_outputs_.append(d_output)
                inputs_.append(given)
                if len(inputs_) * given.shape[:-1].numel() >= ROWS:
                    self.multiply(affine)

    def multiply(self, affine: Affine) -> None:
        """Turn what is collected for a map into a gradient of its weight, and of its bias."""
        d_outputs, inputs = self.factors.pop(affine)
        d_output_RO, input_RI = _rows(d_outputs), _rows(inputs)
        weight = self.total_of(affine.weight)
        if affine.elementwise:
            weight.add_((d_output_RO * input_RI).sum(0))
        else:
            weight.addmm_(d_output_RO.mT.to(weight.dtype), input_RI.to(weight.dtype))
        if affine.bias is not None:
            self.total_of(affine.bias).add_(d_output_RO.sum(0))

    def total_of(self, number: int) -> Tensor:
        """The sum so far for a parameter, zero at first."""
        total = self.totals[number]
        if total is None:
            total = self.totals[number] = torch.zeros_like(self.parameters[number])
        return total

    def total(self) -> list[Tensor | None]:
        """The sums; None for a parameter that had no part in anything."""
        for affine in list(self.factors):
            self.multiply(affine)
        return self.totals


def _rows(values: Sequence[Tensor]) -> Tensor:
    """The rows of all values under each other."""
    return (values[0] if len(values) == 1 else torch.cat(list(values))).flatten(0, -2)
