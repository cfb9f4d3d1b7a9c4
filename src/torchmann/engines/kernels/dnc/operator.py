"""The kernel as an operator of torch, ``torchmann::dnc_sequence``, with a fake, a gradient, vmap and autocast.

Shapes: T time, B batch, I input, H hidden, R read heads, N slots, W width, K blocks. Under vmap every tensor has a
leading axis of members.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from torchmann.engines.kernels.dnc.call import Call, decoded
from torchmann.engines.kernels.dnc.library import WEIGHTS, sizes_of
from torchmann.engines.kernels.pool import buffer


def _forward(
    x: Tensor,
    weights: list[Tensor],
    state: list[Tensor],
    fresh: list[Tensor],
    kinds: Tensor | None,
    lengths: Tensor | None,
    reset: Tensor | None,
    form: list[int],
    limits: list[float],
    members: int,
    keep: bool,
    interval: int,
) -> list[Tensor]:
    """The implementation of `dnc_sequence`."""
    form_ = decoded(form, limits)
    call = Call(x, weights, state, fresh, (kinds, lengths, reset), form_, members, keep, interval)
    shape = (*call.lead, *call.rows[:2])
    output = x.new_empty((*shape, form_.hidden))
    reads = x.new_empty((*shape, form_.heads * form_.width))
    tape = buffer(call.sizes.tape if keep else 0, call.dtype)
    room = tape if keep else buffer(call.sizes.tape, call.dtype)
    final = [x.new_empty(leaf) for leaf in call.leaf_shapes.values()]
    if 0 in call.rows[:2]:
        final = [leaf.clone() for leaf in state]
    problem = call.problem
    problem.output, problem.reads, problem.tape = output.data_ptr(), reads.data_ptr(), room.data_ptr()
    call.leaf_pointers(problem.final, final)
    call.run("dnc_forward", call.sizes.forward_scratch)
    return [output, reads, tape, *final]


def _forward_fake(
    x: Tensor, weights: Any, state: Any, fresh: Any, kinds: Any, lengths: Any, reset: Any, form: list[int],
    limits: list[float], members: int, keep: bool, interval: int,
) -> list[Tensor]:  # fmt: skip
    """The shapes of the results; that of the tape depends on the numbers of steps and rows in no simple way."""
    form_ = decoded(form, limits)
    shape = tuple(x.shape[:-1])
    results = [x.new_empty((*shape, form_.hidden)), x.new_empty((*shape, form_.heads * form_.width))]
    tape = x.new_empty((torch.library.get_ctx().new_dynamic_size(),))
    return [*results, tape, *(x.new_empty(leaf.shape) for leaf in state)]


def _backward(
    x: Tensor,
    weights: list[Tensor],
    state: list[Tensor],
    fresh: list[Tensor],
    kinds: Tensor | None,
    lengths: Tensor | None,
    reset: Tensor | None,
    form: list[int],
    limits: list[float],
    members: int,
    interval: int,
    tape: Tensor,
    gradients: list[Tensor],
    given: list[bool],
    wanted: list[bool],
) -> list[Tensor]:
    """The implementation of `dnc_sequence_backward`."""
    form_ = decoded(form, limits)
    call = Call(x, weights, state, fresh, (kinds, lengths, reset), form_, members, True, interval)
    problem, shape = call.problem, (*call.lead, *call.rows[:2])
    problem.tape = call.pointer("tape", tape, (call.sizes.tape,))
    found = iter(gradients)
    output, reads, *final = [next(found) if there else None for there in given]
    if output is not None:
        problem.d_output = call.pointer("gradient of the output", output, (*shape, form_.hidden))
    if reads is not None:
        problem.d_reads = call.pointer("gradient of the reads", reads, (*shape, form_.heads * form_.width))
    call.leaf_pointers(problem.d_final, final)
    filled = 1 + len(weights) if x.numel() else 0  # the kernel fills these, and adds to the others
    results = [
        (torch.empty_like if place < filled else torch.zeros_like)(tensor, memory_format=torch.contiguous_format)
        if want
        else None
        for place, (tensor, want) in enumerate(zip([x, *weights, *state, *fresh], wanted, strict=True))
    ]
    d_x, d_weights, d_state, d_fresh = _parted(results, len(weights), len(state))
    problem.d_x = None if d_x is None else d_x.data_ptr()
    for name, tensor in zip(form_.weights, d_weights, strict=True):
        problem.d_weight[WEIGHTS.index(name)] = None if tensor is None else tensor.data_ptr()
    call.leaf_pointers(problem.d_state, d_state)
    if fresh:
        call.leaf_pointers(problem.d_fresh, d_fresh)
    call.run("dnc_backward", sizes_of(problem, call.dtype).backward_scratch)
    return [tensor for tensor in results if tensor is not None]


def _backward_fake(
    x: Tensor, weights: list[Tensor], state: list[Tensor], fresh: list[Tensor], kinds: Any, lengths: Any, reset: Any,
    form: Any, limits: Any, members: int, interval: int, tape: Tensor, gradients: Any, given: Any, wanted: list[bool],
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
    def forward(ctx: Any, counts: tuple[int, int], rest: tuple[Any, ...], *tensors: Tensor) -> tuple[Tensor, ...]:
        kinds, lengths, reset, form, limits, members, _, interval = rest
        x, weights, state, fresh = _parted(list(tensors), *counts)
        with torch._C._AutoDispatchBelowAutograd():
            results = dnc_sequence(x, weights, state, fresh, *rest)
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(results[2])
        ctx.save_for_backward(*tensors, kinds, lengths, reset, results[2])
        ctx.counts, ctx.rest = counts, (form, limits, members, interval)
        return tuple(results)

    @staticmethod
    def backward(ctx: Any, *results: Tensor | None) -> tuple[Any, ...]:
        *tensors, kinds, lengths, reset, tape = ctx.saved_tensors
        results = (*results[:2], *results[3:])
        wanted = list(ctx.needs_input_grad[2:])
        found = iter(
            dnc_sequence_backward(
                *_parted(tensors, *ctx.counts), kinds, lengths, reset, *ctx.rest, tape,
                [gradient for gradient in results if gradient is not None],
                [gradient is not None for gradient in results],
                wanted,
            )
        )  # fmt: skip
        return None, None, *[next(found) if want else None for want in wanted]


def _with_gradient(
    x: Tensor, weights: list[Tensor], state: list[Tensor], fresh: list[Tensor], *rest: Any
) -> list[Tensor]:
    """The operator where a gradient may be asked for."""
    tensors = (x, *weights, *state, *fresh)
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        return list(_Sequence.apply((len(weights), len(state)), rest, *tensors))
    with torch._C._AutoDispatchBelowAutograd():
        return dnc_sequence(x, weights, state, fresh, *rest)


class _FirstDerivative(torch.autograd.Function):
    """The operator's backward where someone asks to differentiate it again, which only fails if it comes to that."""

    @staticmethod
    def forward(ctx: Any, lists: tuple[Any, ...], *tensors: Tensor) -> tuple[Tensor, ...]:
        with torch._C._AutoDispatchBelowAutograd():
            return tuple(dnc_sequence_backward(*lists))

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        raise RuntimeError("the fused engine has no second derivatives: build the model with engine='eager'.")


def _once(*arguments: Any) -> list[Tensor]:
    """The backward operator where a gradient may be asked for."""
    tensors = [each for part in arguments for each in (part if isinstance(part, list | tuple) else [part])]
    tensors = [each for each in tensors if isinstance(each, Tensor)]
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        return list(_FirstDerivative.apply(arguments, *tensors))
    with torch._C._AutoDispatchBelowAutograd():
        return dnc_sequence_backward(*arguments)


def _batched(
    info: Any, in_dims: Any, x: Tensor, weights: list[Tensor], state: list[Tensor], fresh: list[Tensor], kinds: Any,
    lengths: Tensor | None, reset: Tensor | None, form: Any, limits: Any, members: int, keep: bool, interval: int,
) -> tuple[list[Tensor], list[int | None]]:  # fmt: skip
    """Under vmap: the members of an ensemble side by side in one call."""
    size = info.batch_size

    def first(tensor: Tensor | None, dim: int | None) -> Any:
        if tensor is None:
            return None
        tensor = tensor.expand(size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
        return tensor.flatten(0, 1) if members else tensor

    def each(tensors: list[Tensor], dims: Any) -> list[Tensor]:
        return [first(tensor, dim) for tensor, dim in zip(tensors, dims, strict=True)]

    results = dnc_sequence(
        first(x, in_dims[0]),
        each(weights, in_dims[1]),
        each(state, in_dims[2]),
        each(fresh, in_dims[3]),
        kinds,
        first(lengths, in_dims[5]),
        first(reset, in_dims[6]),
        form,
        limits,
        size * (members or 1),
        keep,
        interval,
    )
    if members:
        results = [result if i == 2 else result.unflatten(0, (size, members)) for i, result in enumerate(results)]
    return results, [None if i == 2 else 0 for i in range(len(results))]


_library = torch.library.Library("torchmann", "FRAGMENT")
_steps = "Tensor? kinds, Tensor? lengths, Tensor? reset, int[] form, float[] limits, int members"
_tensors = "Tensor x, Tensor[] weights, Tensor[] state, Tensor[] fresh"
_library.define(f"dnc_sequence({_tensors}, {_steps}, bool keep, int interval) -> Tensor[]")
_library.define(
    f"dnc_sequence_backward({_tensors}, {_steps}, int interval, Tensor tape, Tensor[] gradients, bool[] given, "
    "bool[] wanted) -> Tensor[]"
)
_library.impl("dnc_sequence", _forward, "CPU")
_library.impl("dnc_sequence_backward", _backward, "CPU")
_library.impl("dnc_sequence", _with_gradient, "Autograd")
_library.impl("dnc_sequence_backward", _once, "Autograd")
torch.library.register_fake("torchmann::dnc_sequence", _forward_fake, lib=_library)
torch.library.register_fake("torchmann::dnc_sequence_backward", _backward_fake, lib=_library)
torch.library.register_vmap("torchmann::dnc_sequence", _batched, lib=_library)
torch.library.register_autocast("torchmann::dnc_sequence", "cpu", torch.float32, lib=_library)

dnc_sequence = torch.ops.torchmann.dnc_sequence.default
"""A controller with a DNC memory over a sequence.

Args:
    x: the inputs ``[T, B, I]``.
    weights: those of the form, in the order of `WEIGHTS`.
    state: the leaves before the first step, in the order of `LEAVES`.
    fresh: the leaves where rows start that are reset; empty without `reset`.
    kinds: int8 ``[T]``, of each step 1 if it reads plus 2 if it writes; None: every step does both.
    lengths: int64 ``[B]``.
    reset: bool ``[T, B]``.
    form, limits: an encoded `Form`.
    members: of an ensemble, the leading axis of every tensor but `kinds`; 0: there is no such axis.
    keep: fill the tape; without it there is no gradient.
    interval: write steps between two snapshots on the tape.

Returns:
    The controller's outputs ``[T, B, H]``, the reads ``[T, B, R W]``, the tape, the leaves after the last step.
"""
dnc_sequence_backward = torch.ops.torchmann.dnc_sequence_backward.default
"""The gradient of `dnc_sequence`.

Args:
    x, weights, state, fresh, kinds, lengths, reset, form, limits, members, interval: as it had.
    tape: what it kept.
    gradients: of its results but for the tape, those that there are.
    given: which of these results have one.
    wanted: of which of ``[x, *weights, *state, *fresh]`` the gradient is asked for.

Returns:
    The wanted gradients.
"""
