"""The affine maps of a step, whose parameters get their gradients from all steps at once.

Shapes are those of the maps' own inputs and outputs, whatever axes these have.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode


class Affine(NamedTuple):
    """An affine map that a step applies: which parameters are its weight and its bias, if it has one."""

    weight: int
    bias: int | None
    elementwise: bool = False  # a gain and a shift, after a layer normalisation


class _KnownMap(torch.autograd.Function):
    """The output of a linear map that is known already; a gradient goes on to its input alone."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, weight: Tensor, output: Tensor) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.dtype = input.dtype
        return output.view_as(output)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (weight,) = ctx.saved_tensors
        return (gradient @ weight.to(gradient.dtype)).to(ctx.dtype), None, None


class AffineMaps(TorchFunctionMode):
    """Notes what goes into and comes out of each affine map that has its weight and bias among `parameters`.

    Args:
        parameters: of the cell.
        known: the outputs of the linear maps, in order, if they are known. Then none is computed again, and the
            parameters of all maps are cut off: their gradients are a product over all steps at once, of inputs and
            gradients of outputs.
    """

    def __init__(self, parameters: Sequence[Tensor], known: Sequence[Tensor] | None = None) -> None:
        super().__init__()
        self._numbers = {id(parameter): number for number, parameter in enumerate(parameters)}
        self._known = None if known is None else iter(known)
        self.maps: list[Affine] = []
        self.inputs: list[Tensor] = []
        self.outputs: list[Tensor] = []

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        special: Any = {F.linear: self._linear, F.layer_norm: self._layer_norm}.get(function)
        # under vmap a tensor has no meaning outside
        if special is None or torch._C._are_functorch_transforms_active():
            return function(*args, **(kwargs or {}))
        return special(*args, **(kwargs or {}))

    def _linear(self, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        if id(weight) not in self._numbers or not (bias is None or id(bias) in self._numbers):
            return F.linear(input, weight, bias)
        if self._known is None:
            output = F.linear(input, weight, bias)
        else:
            output = _KnownMap.apply(input, weight.detach(), next(self._known))
        return self._noted(input, weight, bias, output)

    def _layer_norm(
        self,
        input: Tensor,
        normalized_shape: Sequence[int],
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        eps: float = 1e-5,
    ) -> Tensor:
        numbers = self._numbers
        if self._known is None or id(weight) not in numbers or id(bias) not in numbers or len(normalized_shape) > 1:
            return F.layer_norm(input, normalized_shape, weight, bias, eps)
        assert weight is not None and bias is not None
        normal = F.layer_norm(input, normalized_shape, None, None, eps)
        output = (normal * weight.detach() + bias.detach()).to(normal.dtype)
        return self._noted(normal, weight, bias, output, elementwise=True)

    def _noted(
        self, input: Tensor, weight: Tensor, bias: Tensor | None, output: Tensor, elementwise: bool = False
    ) -> Tensor:
        if self._known is not None and (weight.requires_grad or (bias is not None and bias.requires_grad)):
            output.requires_grad_()
        number = None if bias is None else self._numbers[id(bias)]
        self.maps.append(Affine(self._numbers[id(weight)], number, elementwise))
        self.inputs.append(input.detach())
        self.outputs.append(output)
        return output
