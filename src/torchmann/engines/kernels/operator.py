"""A kernel as an operator of torch, ``torchmann::<kernel>_sequence``, with a fake, a gradient, vmap and autocast.

Shapes: T time, B batch, I input. Under vmap every tensor has a leading axis of members.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from torchmann.engines.kernels.call import Call
from torchmann.engines.kernels.kernel import Kernel
from torchmann.engines.kernels.library import sizes_of
from torchmann.engines.kernels.pool import buffer

_LIBRARY = torch.library.Library("torchmann", "FRAGMENT")
_TENSORS = "Tensor x, Tensor[] weights, Tensor[] state, Tensor[] fresh, Tensor[] noise"
_STEPS = "Tensor? kinds, Tensor? lengths, Tensor? reset, int[] form, float[] limits, int members"


class Operator:
    """The two operators of a kernel.

    ``sequence(x, weights, state, fresh, noise, kinds, lengths, reset, form, limits, members, keep)`` takes

    - x: the inputs ``[T, B, I]``;
    - weights: those of the form; state: the leaves before the first step; noise: that of the form ``[T, B, ...]``;
    - fresh: the leaves where rows start that are reset; empty without `reset`;
    - kinds: int8 ``[T]``, of each step 1 if it reads plus 2 if it writes; None: every step does both;
    - lengths: int64 ``[B]``; reset: bool ``[T, B]``; form, limits: an encoded `Form`;
    - members: of an ensemble, the leading axis of every tensor but `kinds`; 0: there is no such axis;
    - keep: fill the tape; without it there is no gradient;

    and gives the outputs ``[T, B, ...]``, the tape, and the leaves after the last step.

    ``backward(*of the sequence but keep, tape, gradients, given, wanted)`` takes what the sequence kept, the gradients
    of its results but for the tape, as far as there are any, which of the results have one, and of which of
    ``[x, *weights, *state, *fresh]`` the gradient is wanted. It gives those.
    """

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        forward, backward = f"{kernel.name}_sequence", f"{kernel.name}_sequence_backward"
        _LIBRARY.define(f"{forward}({_TENSORS}, {_STEPS}, bool keep) -> Tensor[]")
        _LIBRARY.define(
            f"{backward}({_TENSORS}, {_STEPS}, Tensor tape, Tensor[] gradients, bool[] given, bool[] wanted) "
            "-> Tensor[]"
        )
        _LIBRARY.impl(forward, self._forward, "CPU")
        _LIBRARY.impl(backward, self._backward, "CPU")
        _LIBRARY.impl(forward, self._with_gradient, "Autograd")
        _LIBRARY.impl(backward, self._once, "Autograd")
        torch.library.register_fake(f"torchmann::{forward}", self._forward_fake, lib=_LIBRARY)
        torch.library.register_fake(f"torchmann::{backward}", _backward_fake, lib=_LIBRARY)
        torch.library.register_vmap(f"torchmann::{forward}", self._batched, lib=_LIBRARY)
        torch.library.register_autocast(f"torchmann::{forward}", "cpu", torch.float32, lib=_LIBRARY)
        self.sequence: Any = getattr(torch.ops.torchmann, forward).default
        self.backward: Any = getattr(torch.ops.torchmann, backward).default

    def _forward(
        self, x: Tensor, weights: list[Tensor], state: list[Tensor], fresh: list[Tensor], noise: list[Tensor],
        kinds: Tensor | None, lengths: Tensor | None, reset: Tensor | None, form: list[int], limits: list[float],
        members: int, keep: bool,
    ) -> list[Tensor]:  # fmt: skip
        """The implementation of `sequence`."""
        decoded = self.kernel.decoded(form, limits)
        call = Call(self.kernel, x, weights, noise, state, fresh, (kinds, lengths, reset), decoded, members, keep)
        outputs = [x.new_empty(shape) for shape in call.output_shapes.values()]
        tape = buffer(call.sizes.tape if keep else 0, call.dtype)
        room = tape if keep else buffer(call.sizes.tape, call.dtype)
        final = [x.new_empty(shape) for shape in call.leaf_shapes.values()]
        if 0 in call.rows[:2]:
            final = [leaf.clone() for leaf in state]
        call.problem.tape = room.data_ptr()
        call.output_pointers(call.problem.output, outputs)
        call.leaf_pointers(call.problem.final, final)
        call.run("kernel_forward", call.sizes.forward_scratch)
        return [*outputs, tape, *final]

    def _forward_fake(
        self, x: Tensor, weights: Any, state: Any, fresh: Any, noise: Any, kinds: Any, lengths: Any, reset: Any,
        form: list[int], limits: list[float], members: int, keep: bool,
    ) -> list[Tensor]:  # fmt: skip
        """The shapes of the results; that of the tape depends on the numbers of steps and rows in no simple way."""
        shapes = self.kernel.output_shapes(self.kernel.decoded(form, limits))
        outputs = [x.new_empty((*x.shape[:-1], *shape)) for shape in shapes.values()]
        tape = x.new_empty((torch.library.get_ctx().new_dynamic_size(),))
        return [*outputs, tape, *(x.new_empty(leaf.shape) for leaf in state)]

    def _backward(
        self, x: Tensor, weights: list[Tensor], state: list[Tensor], fresh: list[Tensor], noise: list[Tensor],
        kinds: Tensor | None, lengths: Tensor | None, reset: Tensor | None, form: list[int], limits: list[float],
        members: int, tape: Tensor, gradients: list[Tensor], given: list[bool], wanted: list[bool],
    ) -> list[Tensor]:  # fmt: skip
        """The implementation of `backward`."""
        kernel, decoded = self.kernel, self.kernel.decoded(form, limits)
        call = Call(kernel, x, weights, noise, state, fresh, (kinds, lengths, reset), decoded, members, True)
        problem = call.problem
        problem.tape = call.pointer("tape", tape, (call.sizes.tape,))
        found = iter(gradients)
        results = [next(found) if there else None for there in given]
        call.output_pointers(problem.d_output, results[: len(kernel.outputs)])
        call.leaf_pointers(problem.d_final, results[len(kernel.outputs) :])
        filled = 1 + len(weights) if x.numel() else 0  # the kernel fills these, and adds to the others
        made = [
            (torch.empty_like if place < filled else torch.zeros_like)(tensor, memory_format=torch.contiguous_format)
            if want
            else None
            for place, (tensor, want) in enumerate(zip([x, *weights, *state, *fresh], wanted, strict=True))
        ]
        d_x, d_weights, d_state, d_fresh = _parted(made, len(weights), len(state))
        problem.d_x = None if d_x is None else d_x.data_ptr()
        for name, tensor in zip(decoded.weights, d_weights, strict=True):
            problem.d_weight[kernel.weights.index(name)] = None if tensor is None else tensor.data_ptr()
        call.leaf_pointers(problem.d_state, d_state)
        if fresh:
            call.leaf_pointers(problem.d_fresh, d_fresh)
        call.run("kernel_backward", sizes_of(kernel, problem, call.dtype).backward_scratch)
        return [tensor for tensor in made if tensor is not None]

    def _with_gradient(
        self, x: Tensor, weights: list[Tensor], state: list[Tensor], fresh: list[Tensor], *rest: Any
    ) -> list[Tensor]:
        """The operator where a gradient may be asked for."""
        tensors = (x, *weights, *state, *fresh)
        if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
            return list(_Sequence.apply(self, (len(weights), len(state)), rest, *tensors))
        with torch._C._AutoDispatchBelowAutograd():
            return self.sequence(x, weights, state, fresh, *rest)

    def _once(self, *arguments: Any) -> list[Tensor]:
        """The backward operator where a gradient may be asked for."""
        tensors = [each for part in arguments for each in (part if isinstance(part, list | tuple) else [part])]
        tensors = [each for each in tensors if isinstance(each, Tensor)]
        if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
            return list(_FirstDerivative.apply(self, arguments, *tensors))
        with torch._C._AutoDispatchBelowAutograd():
            return self.backward(*arguments)

    def _batched(
        self, info: Any, in_dims: Any, x: Tensor, weights: list[Tensor], state: list[Tensor], fresh: list[Tensor],
        noise: list[Tensor], kinds: Any, lengths: Tensor | None, reset: Tensor | None, form: Any, limits: Any,
        members: int, keep: bool,
    ) -> tuple[list[Tensor], list[int | None]]:  # fmt: skip
        """Under vmap: the members of an ensemble side by side in one call."""
        size, tape = info.batch_size, len(self.kernel.outputs)

        def first(tensor: Tensor | None, dim: int | None) -> Any:
            if tensor is None:
                return None
            tensor = tensor.expand(size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
            return tensor.flatten(0, 1) if members else tensor

        def each(tensors: list[Tensor], dims: Any) -> list[Tensor]:
            return [first(tensor, dim) for tensor, dim in zip(tensors, dims, strict=True)]

        results = self.sequence(
            first(x, in_dims[0]),
            *(each(part, dims) for part, dims in zip((weights, state, fresh, noise), in_dims[1:5], strict=True)),
            kinds,
            first(lengths, in_dims[6]),
            first(reset, in_dims[7]),
            form,
            limits,
            size * (members or 1),
            keep,
        )
        if members:
            results = [each if i == tape else each.unflatten(0, (size, members)) for i, each in enumerate(results)]
        return results, [None if i == tape else 0 for i in range(len(results))]


def _backward_fake(
    x: Tensor, weights: list[Tensor], state: list[Tensor], fresh: list[Tensor], noise: Any, kinds: Any, lengths: Any,
    reset: Any, form: Any, limits: Any, members: int, tape: Tensor, gradients: Any, given: Any, wanted: list[bool],
) -> list[Tensor]:  # fmt: skip
    """The shapes of the wanted gradients."""
    inputs = [x, *weights, *state, *fresh]
    return [tensor.new_empty(tensor.shape) for tensor, want in zip(inputs, wanted, strict=True) if want]


def _parted(tensors: list[Any], weights: int, state: int) -> tuple[Any, list[Any], list[Any], list[Any]]:
    """``[x, *weights, *state, *fresh]`` in its four parts."""
    first, second = 1 + weights, 1 + weights + state
    return tensors[0], tensors[1:first], tensors[first:second], tensors[second:]


class _Sequence(torch.autograd.Function):
    """The gradient of the operator, for flat arguments; lists would be taken apart and put together at every call."""

    @staticmethod
    def forward(
        ctx: Any, operator: Operator, counts: tuple[int, int], rest: tuple[Any, ...], *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        noise, kinds, lengths, reset, form, limits, members, _ = rest
        with torch._C._AutoDispatchBelowAutograd():
            results = operator.sequence(*_parted(list(tensors), *counts), *rest)
        tape = results[len(operator.kernel.outputs)]
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(tape)
        ctx.save_for_backward(*tensors, *noise, kinds, lengths, reset, tape)
        ctx.operator, ctx.counts, ctx.noise, ctx.rest = operator, counts, len(noise), (form, limits, members)
        return tuple(results)

    @staticmethod
    def backward(ctx: Any, *results: Tensor | None) -> tuple[Any, ...]:
        *tensors, kinds, lengths, reset, tape = ctx.saved_tensors
        end, outputs = len(tensors) - ctx.noise, len(ctx.operator.kernel.outputs)
        results = (*results[:outputs], *results[outputs + 1 :])
        wanted = list(ctx.needs_input_grad[3:])
        found = iter(
            ctx.operator.backward(
                *_parted(tensors[:end], *ctx.counts), tensors[end:], kinds, lengths, reset, *ctx.rest, tape,
                [gradient for gradient in results if gradient is not None],
                [gradient is not None for gradient in results],
                wanted,
            )
        )  # fmt: skip
        return None, None, None, *[next(found) if want else None for want in wanted]


class _FirstDerivative(torch.autograd.Function):
    """The operator's backward where someone asks to differentiate it again, which only fails if it comes to that."""

    @staticmethod
    def forward(ctx: Any, operator: Operator, lists: tuple[Any, ...], *tensors: Tensor) -> tuple[Tensor, ...]:
        with torch._C._AutoDispatchBelowAutograd():
            return tuple(operator.backward(*lists))

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        raise RuntimeError("the fused engine has no second derivatives: build the model with engine='eager'.")
