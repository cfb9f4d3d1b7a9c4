"""A whole sequence as one function with a gradient.

Of each step the state before it and the outputs of its linear maps are kept; the rest is computed again.

Shapes: T time, B batch, I input, O output.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import compress, islice
from typing import Any, NamedTuple

import torch
from torch import Tensor

from torchmann.core.cell import Cell
from torchmann.core.errors import OptionError
from torchmann.core.precision import Autocast, without_autocast
from torchmann.core.state import Tree, map_leaves, where_rows
from torchmann.engines.compiled import compiler_problem
from torchmann.engines.flat import FirstOnly, Layout, distinct, filled, leaves_of
from torchmann.engines.graphs.parameter_gradients import ParameterGradients
from torchmann.engines.graphs.step import CompiledStep, compiled_steps


@torch.compiler.disable(reason="engine='compiled' compiles by itself: engine='eager' can be part of one whole graph")
def run(
    cell: Cell,
    inputs_TBI: Tensor,
    state: Any,
    *,
    schedule: Sequence[Hashable],
    lengths_B: Tensor | None = None,
    reset_TB: Tensor | None = None,
    noise: Tree = None,
) -> tuple[Tensor, Any]:
    """Run `cell` over the time axis, with the arguments and results of `eager.unroll`.

    Raises:
        OptionError: there is no compiler, the step cannot be compiled, or this is called within `torch.func`.
    """
    problem = compiler_problem(inputs_TBI.device.type)
    if torch._C._are_functorch_transforms_active():
        problem = "it is called within torch.func (vmap, grad or the like)"
    if problem is not None:
        raise OptionError(f"engine='compiled' cannot run here: {problem}; use engine='eager'.")
    running_TB = None
    if lengths_B is not None:
        running_TB = (torch.arange(len(schedule)).unsqueeze(1) < lengths_B).to(inputs_TBI.device, non_blocking=True)
        # what stands in the padding must not reach a gradient, not even as NaN times zero
        inputs_TBI = torch.where(running_TB.unsqueeze(-1), inputs_TBI, 0)
    fresh = () if reset_TB is None else leaves_of(cell.initial_state(inputs_TBI.shape[1]))
    parameters, buffers = list(cell.parameters()), list(cell.buffers())
    sequences, leaves = (inputs_TBI, *leaves_of(noise)), leaves_of(state)
    layout = Layout(len(parameters), len(buffers), len(sequences), len(leaves))
    tensors = [value.contiguous() for value in (*parameters, *buffers, *sequences, *leaves, *fresh)]

    wanted: tuple[bool, ...] = ()
    if torch.is_grad_enabled() and any(value.requires_grad for value in tensors):
        wanted = tuple(value.requires_grad for value in (*parameters, *sequences))
    steps = compiled_steps(
        cell,
        list(dict.fromkeys(schedule)),
        state,
        map_leaves(lambda leaf: leaf[0], noise),
        layout,
        [*parameters, *buffers, *(sequence[0] for sequence in sequences), *leaves],
        wanted=wanted,
        autocast=Autocast.now(inputs_TBI.device.type),
    )
    shortest = len(schedule) if lengths_B is None else int(lengths_B.min())
    plan = _Plan(
        layout, [steps[kind] for kind in schedule], wanted, running_TB, shortest, _resets(reset_TB, len(schedule))
    )
    output_TBO, *after = _Sequence.apply(plan, *tensors)
    return output_TBO, filled(state, after)


class _Plan(NamedTuple):
    """What a run takes besides tensors with gradients."""

    layout: Layout
    steps: Sequence[CompiledStep]  # that of each time
    wanted: Sequence[bool]  # which parameters and sequences need a gradient; empty: nothing does
    running_TB: Tensor | None
    shortest: int  # from this time on some row may have ended
    resets: Sequence[Tensor | None]  # which rows start anew before the step of each time

    def running(self, t: int) -> Tensor | None:
        """Which rows run at time t; None: all."""
        return None if self.running_TB is None or t < self.shortest else self.running_TB[t]


def _resets(reset_TB: Tensor | None, steps: int) -> list[Tensor | None]:
    """Which rows start anew before the step of each time; None: no row."""
    if reset_TB is None:
        return [None] * steps
    some = reset_TB.any(dim=1).tolist()
    return [reset_B if there else None for there, reset_B in zip(some, reset_TB, strict=True)]


class _Sequence(torch.autograd.Function):
    """``(plan, *parameters, *buffers, *sequences, *leaves, *fresh leaves) -> output, *leaves``."""

    @staticmethod
    def forward(ctx: Any, plan: _Plan, *tensors: Tensor) -> tuple[Tensor, ...]:
        parameters, buffers, sequences, first, fresh = plan.layout.split(tensors)
        constants, leaves = [*parameters, *buffers], tuple(first)
        outputs: list[Tensor] = []
        kept: list[Tensor] = []
        moments = zip(plan.steps, plan.resets, *(sequence.unbind(0) for sequence in sequences), strict=True)
        with without_autocast(sequences[0].device.type):
            for t, (step, reset_B, *inputs) in enumerate(moments):
                if reset_B is not None:
                    leaves = where_rows(reset_B, tuple(fresh), leaves)
                y_BO, *results = step.forward([*constants, *inputs, *leaves])
                if plan.wanted:
                    kept += (*leaves, *results[len(leaves) :])
                after, running_B = tuple(results[: len(leaves)]), plan.running(t)
                if running_B is not None:
                    y_BO = torch.where(running_B.unsqueeze(-1), y_BO, 0)
                    after = where_rows(running_B, after, leaves)
                outputs.append(y_BO)
                leaves = after
        ctx.plan, ctx.fresh = plan, len(fresh)
        ctx.save_for_backward(*constants, *sequences, *kept)
        leaves = distinct(leaves)
        ctx.mark_non_differentiable(*(leaf for leaf in leaves if not leaf.is_floating_point()))
        return torch.stack(outputs), *leaves

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        graph_asked = torch.is_grad_enabled()
        with torch.no_grad(), without_autocast(gradients[0].device.type):
            run = _Reverse(ctx.plan, ctx.saved_tensors, gradients, ctx.fresh)
            for t in range(len(ctx.plan.steps) - 1, -1, -1):
                run.step(t)
            results = run.results()
        if graph_asked:
            results = [
                None if result is None else FirstOnly.apply(result.requires_grad_(), "compiled") for result in results
            ]
        return None, *results


class _Reverse:
    """A run from its end to its beginning.

    Args:
        plan: of the run.
        saved: parameters, buffers and sequences; of each step the leaves before it and the outputs of linear maps.
        gradients: of the output and of the leaves after the last step.
        fresh: how many leaves there are to start anew from.
    """

    def __init__(self, plan: _Plan, saved: Sequence[Tensor], gradients: Sequence[Tensor], fresh: int) -> None:
        parameters, buffers, self.sequences, first, _ = plan.layout.split(saved)
        self.plan, self.constants, self.kept = plan, [*parameters, *buffers], saved[sum(plan.layout[:3]) :]
        self.place = len(self.kept)  # what was kept of the steps from here on is used up
        self.fresh = fresh
        self.floating = [leaf.is_floating_point() for leaf in first]
        self.zeros = tuple(torch.zeros_like(leaf) for leaf in first if leaf.is_floating_point())
        self.d_output = gradients[0].contiguous()
        self.d_leaves = tuple(leaf.contiguous() for leaf in compress(gradients[1:], self.floating))
        self.d_fresh = self.zeros
        self.d_parameters = ParameterGradients(parameters)
        self.d_inputs: list[list[Tensor | None]] = []  # of each step, the last first

    def step(self, t: int) -> None:
        """Go back over the step of time t."""
        layout, step = self.plan.layout, self.plan.steps[t]
        d_y_BO, d_leaves, d_frozen = self.d_output[t], self.d_leaves, None
        running_B = self.plan.running(t)
        if running_B is not None:
            d_y_BO = torch.where(running_B.unsqueeze(-1), d_y_BO, 0)
            d_frozen = where_rows(running_B, self.zeros, d_leaves)
            d_leaves = where_rows(running_B, d_leaves, self.zeros)
        before = self.kept[self.place - layout.leaves - step.kept : self.place]
        self.place -= len(before)
        inputs = [sequence[t] for sequence in self.sequences]
        assert step.backward is not None, "a gradient was wanted"
        results = iter(step.backward([*self.constants, *inputs, *before, d_y_BO, *d_leaves]))
        d_parameters = list(islice(results, layout.parameters))
        self.d_inputs.append(list(islice(results, layout.inputs)))
        d_leaves = tuple(_or_zero(next(results), zero) for zero in self.zeros)
        taps: list[Any] = list(results)
        self.d_parameters.add(d_parameters, step.maps, taps[: len(step.maps)], taps[len(step.maps) :])
        if d_frozen is not None:
            d_leaves = map_leaves(torch.add, d_leaves, d_frozen)
        reset_B = self.plan.resets[t]
        if reset_B is not None:
            d_anew = where_rows(reset_B, d_leaves, self.zeros)
            self.d_fresh = map_leaves(torch.add, self.d_fresh, d_anew)
            d_leaves = where_rows(reset_B, self.zeros, d_leaves)
        self.d_leaves = d_leaves

    def results(self) -> list[Tensor | None]:
        """The gradients of parameters, buffers, sequences, leaves and fresh leaves."""
        layout = self.plan.layout
        d_sequences = []
        wanted = self.plan.wanted[layout.parameters :]
        for sequence, want, steps in zip(self.sequences, wanted, zip(*self.d_inputs, strict=True), strict=True):
            zero = torch.zeros_like(sequence[0])
            d_sequences.append(torch.stack([_or_zero(d, zero) for d in reversed(steps)]) if want else None)
        found, anew = iter(self.d_leaves), iter(self.d_fresh)
        d_leaves = [next(found) if floating else None for floating in self.floating]
        d_fresh = [next(anew) if floating else None for floating in self.floating[: self.fresh]]
        return [*self.d_parameters.total(), *[None] * layout.buffers, *d_sequences, *d_leaves, *d_fresh]


def _or_zero(gradient: Tensor | None, zero: Tensor) -> Tensor:
    return zero if gradient is None else gradient
