"""The kernel as an operator of torch: ``torchmann::dnc_sequence``, with a fake, a gradient, vmap and autocast.

Shapes: T time, B batch, I input, H hidden, R read heads, N slots, W width, K blocks. Under vmap every tensor has a
leading axis of members.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from torchmann.core.errors import ShapeError
from torchmann.engines.kernels.dnc.form import Form
from torchmann.engines.kernels.dnc.library import (
    LEAVES,
    LIMITS,
    OPTIONS,
    WEIGHTS,
    Problem,
    Sizes,
    library,
    sizes_of,
)

_INTS = 5 + len(OPTIONS)


def encoded(form: Form) -> tuple[list[int], list[float]]:
    """A form as an operator takes it: integers, the last of which says which weights there are, and limits."""
    mask = sum(1 << place for place, name in enumerate(WEIGHTS) if name in form.weights)
    return [*form[:5], *form.options, mask], list(form.limits)


def _decoded(integers: Sequence[int], limits: Sequence[float]) -> Form:
    names = tuple(name for place, name in enumerate(WEIGHTS) if integers[_INTS] >> place & 1)
    return Form(*integers[:5], tuple(integers[5:_INTS]), tuple(limits), names)


def leaf_shapes(form: Form, batch_size: Any) -> dict[str, tuple[Any, ...]]:
    """The shapes of the state's leaves by name."""
    option = dict(zip(OPTIONS, form.options, strict=True))
    block = (form.blocks,) if option["gated"] else ()
    slots = form.slots
    shapes = {
        "h": (form.hidden,),
        "c": (form.hidden,),
        "reads": (form.heads * form.width,),
        "memory": (*block, slots, form.width),
        "usage": (*block, slots),
        "write_weights": (*block, 1, slots),
        "read_weights": (*block, form.heads, slots),
        "precedence": (*block, 1, slots),
        "link": (*block, 1, slots, slots),
    }
    return {name: (batch_size, *shapes[name]) for name in form.leaves}


def weight_shapes(form: Form, input_size: int, interface_size: int) -> dict[str, tuple[int, ...]]:
    """The shapes of the weights by name."""
    hidden = form.hidden
    gates = {"gru": 3, "elman": 1}.get(form.controller, 4) * hidden
    shapes: dict[str, tuple[int, ...]] = {
        "weight_ih": (gates, input_size + (form.heads * form.width if form.feedback else 0)),
        "weight_hh": (gates, hidden),
        "bias_ih": (gates,),
        "bias_hh": (gates,),
        "gain": (5, hidden),
        "shift": (5, hidden),
        "norm_gain": (hidden,),
        "norm_shift": (hidden,),
        "interface": (interface_size, hidden),
        "interface_bias": (interface_size,),
    }
    return {name: shapes[name] for name in form.weights}


def _check(name: str, tensor: Tensor, shape: Sequence[int], dtype: torch.dtype) -> None:
    """Nothing but this may get near a pointer."""
    if tensor.device.type != "cpu" or tensor.layout != torch.strided or tensor.dtype != dtype:
        raise ShapeError(
            f"{name} must be a dense {dtype} tensor on the CPU for the fused kernel, got {tensor.dtype} "
            f"({tensor.layout}) on {tensor.device}: convert it, or use engine='eager'."
        )
    if tuple(tensor.shape) != tuple(shape):
        raise ShapeError(f"{name} must be {tuple(shape)} for the fused kernel, got {tuple(tensor.shape)}.")


class Call:
    """One call of the kernel: its problem with the pointers filled in, and the tensors that they point into."""

    def __init__(
        self,
        x: Tensor,
        weights: Sequence[Tensor],
        state: Sequence[Tensor],
        fresh: Sequence[Tensor],
        steps: Sequence[Tensor | None],
        form: Form,
        members: int,
        keep: bool,
        interval: int,
    ) -> None:
        if x.dtype not in (torch.float32, torch.float64):
            raise ShapeError(f"input must be float32 or float64 for the fused kernel, got {x.dtype}: convert it.")
        lead = (members,) if members else ()
        if x.dim() != 3 + len(lead):
            raise ShapeError(f"input must be [T, B, I] for the fused kernel, got shape {tuple(x.shape)}.")
        self.form, self.dtype, self.lead, self.held = form, x.dtype, lead, []
        T, B, I = x.shape[-3:]
        self.steps, self.batch = T, B
        self.problem = problem = Problem()
        for name, value in zip(
            ("members", "steps", "batch", "input", "hidden", "heads", "slots", "width", "blocks"),
            (members or 1, T, B, I, *form[:5]),
            strict=True,
        ):
            setattr(problem, name, value)
        for name, option in zip(OPTIONS, form.options, strict=True):
            setattr(problem, name, option)
        for name, limit in zip(LIMITS, form.limits, strict=True):
            setattr(problem, name, limit)
        problem.keep, problem.interval = keep, interval
        problem.threads = threads_for((members or 1) * B)
        self.step_tensors(*steps)
        problem.x = self.pointer("input", x, (*lead, T, B, I))
        self.sizes = self.measured()
        shapes = weight_shapes(form, I, self.sizes.interface)
        for name, tensor in zip(form.weights, weights, strict=True):
            problem.weight[WEIGHTS.index(name)] = self.pointer(name, tensor, (*lead, *shapes[name]))
        self.leaf_shapes = {name: (*lead, *shape) for name, shape in leaf_shapes(form, B).items()}
        self.leaf_pointers(problem.state, state)
        if fresh:
            self.leaf_pointers(problem.fresh, fresh)

    def pointer(self, name: str, tensor: Tensor, shape: Sequence[int]) -> int:
        """The address of a checked tensor's numbers, in order."""
        _check(name, tensor, shape, self.dtype)
        tensor = tensor.contiguous()
        self.held.append(tensor)
        return tensor.data_ptr()

    def leaf_pointers(self, pointers: Any, leaves: Sequence[Tensor | None]) -> None:
        """Fill in the leaves of a state; None stays null."""
        for name, leaf in zip(self.form.leaves, leaves, strict=True):
            if leaf is not None:
                pointers[LEAVES.index(name)] = self.pointer(f"state leaf {name}", leaf, self.leaf_shapes[name])

    def step_tensors(self, kinds: Tensor | None, lengths: Tensor | None, reset: Tensor | None) -> None:
        """What is said of steps and rows."""
        rows = (*self.lead, self.batch)
        for name, tensor, dtype, shape in (
            ("kinds", kinds, torch.int8, (self.steps,)),
            ("lengths", lengths, torch.int64, rows),
            ("reset", reset, torch.bool, (*self.lead, self.steps, self.batch)),
        ):
            if tensor is not None:
                _check(name, tensor, shape, dtype)
                self.held.append(tensor.contiguous())
                setattr(self.problem, name, self.held[-1].data_ptr())

    def measured(self) -> Sizes:
        """What the problem takes."""
        return sizes_of(self.problem, self.dtype)

    def empty(self, *shape: int) -> Tensor:
        """A tensor of results."""
        return torch.empty(shape, dtype=self.dtype)

    def run(self, entry: str, scratch: int) -> None:
        """Call an entry point with so much scratch."""
        room = self.empty(scratch)
        self.problem.scratch = room.data_ptr()
        getattr(library(self.dtype), entry)(ctypes.byref(self.problem))


def threads_for(rows: int) -> int:
    """Rows are shared out among threads; one row is one thread's."""
    return max(1, min(torch.get_num_threads(), rows))


@torch.library.custom_op("torchmann::dnc_sequence", mutates_args=(), device_types="cpu")
def dnc_sequence(
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
    """A controller with a DNC memory over a sequence.

    Args:
        x: the inputs ``[T, B, I]``.
        weights: those of the form, in the order of `WEIGHTS`.
        state: the leaves before the first step, in the order of `LEAVES`.
        fresh: the leaves where rows start that are reset; empty without `reset`.
        kinds: int8 ``[T]``, of each step 1 if it reads plus 2 if it writes; None: every step does both.
        lengths: int64 ``[B]``.
        reset: bool ``[T, B]``.
        form: an encoded `Form`.
        limits: of it.
        members: of an ensemble, the leading axis of every tensor but `kinds`; 0: there is no such axis.
        keep: fill the tape; without it there is no gradient.
        interval: write steps between two snapshots on the tape.

    Returns:
        The controller's outputs ``[T, B, H]``, the reads ``[T, B, R W]``, the tape, the leaves after the last step.
    """
    form_ = _decoded(form, limits)
    call = Call(x, weights, state, fresh, (kinds, lengths, reset), form_, members, keep, interval)
    shape = (*call.lead, call.steps, call.batch)
    output = call.empty(*shape, form_.hidden)
    reads = call.empty(*shape, form_.heads * form_.width)
    tape = call.empty(call.sizes.tape)
    final = [call.empty(*leaf) for leaf in call.leaf_shapes.values()]
    problem = call.problem
    problem.output, problem.reads, problem.tape = output.data_ptr(), reads.data_ptr(), tape.data_ptr()
    call.leaf_pointers(problem.final, final)
    if x.numel():
        call.run("dnc_forward", call.sizes.forward_scratch)
    return [output, reads, tape, *final]


@dnc_sequence.register_fake
def _(x, weights, state, fresh, kinds, lengths, reset, form, limits, members, keep, interval):  # type: ignore[no-untyped-def]
    form_ = _decoded(form, limits)
    lead = (members,) if members else ()
    steps, batch_size = x.shape[-3:-1]
    tape = torch.library.get_ctx().new_dynamic_size()
    shapes = [
        (*lead, steps, batch_size, form_.hidden),
        (*lead, steps, batch_size, form_.heads * form_.width),
        (tape,),
        *((*lead, *shape) for shape in leaf_shapes(form_, batch_size).values()),
    ]
    return [x.new_empty(shape) for shape in shapes]


@torch.library.custom_op("torchmann::dnc_sequence_backward", mutates_args=(), device_types="cpu")
def dnc_sequence_backward(
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
    """The gradient of `dnc_sequence`.

    Args:
        tape: what it kept; the other arguments are those that it had.
        gradients: of its results but for the tape, those that there are.
        given: which results these belong to.
        wanted: of which of ``[x, *weights, *state, *fresh]`` the gradient is asked for.

    Returns:
        The wanted gradients.
    """
    form_ = _decoded(form, limits)
    call = Call(x, weights, state, fresh, (kinds, lengths, reset), form_, members, True, interval)
    problem = call.problem
    _check("tape", tape, (call.sizes.tape,), call.dtype)
    problem.tape = tape.data_ptr()
    found = iter(gradients)
    output, reads, *final = [next(found) if there else None for there in given]
    shape = (*call.lead, call.steps, call.batch)
    if output is not None:
        problem.d_output = call.pointer("gradient of the output", output, (*shape, form_.hidden))
    if reads is not None:
        problem.d_reads = call.pointer("gradient of the reads", reads, (*shape, form_.heads * form_.width))
    call.leaf_pointers(problem.d_final, final)
    inputs = [x, *weights, *state, *fresh]
    results = [torch.zeros_like(tensor, memory_format=torch.contiguous_format) if want else None
               for tensor, want in zip(inputs, wanted, strict=True)]
    d_x, d_weights, d_state, d_fresh = _parted(results, len(weights), len(state))
    problem.d_x = None if d_x is None else d_x.data_ptr()
    for name, tensor in zip(form_.weights, d_weights, strict=True):
        problem.d_weight[WEIGHTS.index(name)] = None if tensor is None else tensor.data_ptr()
    call.leaf_pointers(problem.d_state, d_state)
    if fresh:
        call.leaf_pointers(problem.d_fresh, d_fresh)
    if x.numel():
        call.run("dnc_backward", call.measured().backward_scratch)
    return [tensor for tensor in results if tensor is not None]


@dnc_sequence_backward.register_fake
def _(x, weights, state, fresh, kinds, lengths, reset, form, limits, members, interval, tape, gradients, given, wanted):  # type: ignore[no-untyped-def]
    inputs = [x, *weights, *state, *fresh]
    return [tensor.new_empty(tensor.shape) for tensor, want in zip(inputs, wanted, strict=True) if want]


def _parted(tensors: list[Any], weights: int, state: int) -> tuple[Any, list[Any], list[Any], list[Any]]:
    """``[x, *weights, *state, *fresh]`` in its four parts."""
    first, second = 1 + weights, 1 + weights + state
    return tensors[0], tensors[1:first], tensors[first:second], tensors[second:]


def _remember(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    x, weights, state, fresh, kinds, lengths, reset, form, limits, members, _, interval = inputs
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(x, *weights, *state, *fresh, kinds, lengths, reset, output[2])
    ctx.counts = len(weights), len(state), len(fresh)
    ctx.rest = form, limits, members, interval


def _gradient(ctx: Any, results: list[Tensor | None]) -> tuple[Any, ...]:
    *tensors, kinds, lengths, reset, tape = ctx.saved_tensors
    weights, states, fresh = ctx.counts
    x_, weights_, state_, fresh_ = _parted(list(tensors), weights, states)
    form, limits, members, interval = ctx.rest
    needs = ctx.needs_input_grad
    wanted = [needs[0], *needs[1], *needs[2], *(needs[3] if fresh else ())]
    given = [gradient is not None for gradient in (*results[:2], *results[3:])]
    gradients = [gradient for gradient in (*results[:2], *results[3:]) if gradient is not None]
    found = iter(
        dnc_sequence_backward(
            x_, weights_, state_, fresh_, kinds, lengths, reset, form, limits, members, interval, tape, gradients,
            given, wanted,
        )
    )
    d_x, d_weights, d_state, d_fresh = _parted([next(found) if want else None for want in wanted], weights, states)
    return d_x, d_weights, d_state, d_fresh, *[None] * 8


dnc_sequence.register_autograd(_gradient, setup_context=_remember)


@dnc_sequence.register_vmap
def _(info, in_dims, x, weights, state, fresh, kinds, lengths, reset, form, limits, members, keep, interval):  # type: ignore[no-untyped-def]
    size = info.batch_size

    def first(tensor: Tensor | None, dim: int | None) -> Tensor | None:
        if tensor is None:
            return None
        tensor = tensor.expand(size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
        return tensor.flatten(0, 1) if members else tensor

    def each(tensors: list[Tensor], dims: Any) -> list[Any]:
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
        size * members if members else size,
        keep,
        interval,
    )
    if members:
        results = [r if i == 2 else r.unflatten(0, (size, members)) for i, r in enumerate(results)]
    return results, [None if i == 2 else 0 for i in range(len(results))]


dnc_sequence.register_autocast("cpu", torch.float32)
