"""The compiled engine: one compiled step, and its compiled vector-Jacobian product, over a whole sequence.

The forward pass keeps the state before each step. The backward pass computes each step again from it and goes through
it backwards, both in one compiled function. Nothing is unrolled, so compile time does not depend on T; there is one pair
of functions for each step kind.

Shapes: T time, B batch, I input, O output, R rows of several steps together.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from torchmann.core.cell import Cell
from torchmann.core.errors import OptionError
from torchmann.core.precision import without_autocast
from torchmann.core.recorder import Recorder
from torchmann.core.state import Tree, map_leaves, where_rows
from torchmann.engines import eager
from torchmann.engines.compiled_step import (
    Autocast,
    CompiledStep,
    Layout,
    LinearMap,
    compiled_steps,
    filled,
    leaves_of,
)
from torchmann.engines.graph import compiler_problem

Leaves = tuple[Tensor, ...]

ROWS = 1024
"""So many rows make a matrix product as fast as it gets; more would only take memory."""


def available(recurrent: nn.Module) -> str | None:
    """Why this engine cannot run a `Recurrent` (or a cell) where its parameters are; None if it can."""
    device = next((tensor.device for tensor in (*recurrent.parameters(), *recurrent.buffers())), torch.device("cpu"))
    return compiler_problem(device.type)


@torch.compiler.disable(reason="engine='compiled' compiles the step by itself: use engine='eager' for one whole graph")
def unroll(
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

    While something is recorded, on the meta device, for an empty batch and under export, that runs instead.

    Raises:
        OptionError: there is no compiler, the step cannot be compiled, or it is called within `torch.func`.
    """
    if Recorder.is_open() or inputs_TBI.is_meta or not inputs_TBI.shape[1] or torch.compiler.is_exporting():
        options: dict[str, Any] = {"lengths_B": lengths_B, "reset_TB": reset_TB, "noise": noise}
        return eager.unroll(cell, inputs_TBI, state, schedule=schedule, **options)
    problem = compiler_problem(inputs_TBI.device.type)
    if torch._C._are_functorch_transforms_active():
        problem = "it cannot be called within torch.func.vmap, grad or the like"
    if problem is not None:
        raise OptionError(f"engine='compiled' cannot run here: {problem}; use engine='eager'.")

    running_TB = None
    if lengths_B is not None:
        running_TB = (torch.arange(len(schedule)).unsqueeze(1) < lengths_B).to(inputs_TBI.device)
        # what stands in the padding must not reach a gradient, not even as NaN times zero
        inputs_TBI = torch.where(running_TB.unsqueeze(-1), inputs_TBI, 0)
    fresh = () if reset_TB is None else leaves_of(cell.initial_state(inputs_TBI.shape[1]))
    parameters, buffers = list(cell.parameters()), list(cell.buffers())
    sequences, leaves = (inputs_TBI, *leaves_of(noise)), leaves_of(state)
    layout = Layout(len(parameters), len(buffers), len(sequences), len(leaves))
    tensors = [value.contiguous() for value in (*parameters, *buffers, *sequences, *leaves, *fresh)]

    wanted: list[bool] = []
    if torch.is_grad_enabled() and any(value.requires_grad for value in tensors):
        wanted = [value.requires_grad for value in (*parameters, *sequences)]
    sample = [value.detach() for value in tensors[: sum(layout)]]
    first = slice(layout.parameters + layout.buffers, len(sample) - len(leaves))
    sample[first] = [sequence[0] for sequence in sample[first]]
    steps = compiled_steps(
        cell,
        list(dict.fromkeys(schedule)),
        state,
        map_leaves(lambda leaf: leaf[0], noise),
        layout,
        sample,
        wanted=wanted,
        autocast=Autocast.now(inputs_TBI.device.type),
    )
    shortest = len(schedule) if lengths_B is None else int(lengths_B.min())
    plan = _Plan(layout, [steps[kind] for kind in schedule], wanted, running_TB, shortest, reset_TB)
    output_TBO, *after = _Sequence.apply(plan, *tensors)
    return output_TBO, filled(state, after)


class _Plan(NamedTuple):
    """What a run takes besides tensors with gradients."""

    layout: Layout
    steps: Sequence[CompiledStep]  # the one of each time
    wanted: Sequence[bool]  # which parameters and sequences need a gradient; empty: nothing does
    running_TB: Tensor | None
    shortest: int  # from this time on some row may have ended
    reset_TB: Tensor | None

    def resets(self) -> list[bool]:
        """Whether any row starts anew before the step of each time."""
        return [False] * len(self.steps) if self.reset_TB is None else self.reset_TB.any(dim=1).tolist()


class _Sequence(torch.autograd.Function):
    """``(plan, *parameters, *buffers, *sequences, *leaves, *fresh leaves) -> output, *leaves``."""

    @staticmethod
    def forward(ctx: Any, plan: _Plan, *tensors: Tensor) -> tuple[Tensor, ...]:
        parameters, buffers, sequences, first, fresh = plan.layout.split(tensors)
        constants, leaves = (*parameters, *buffers), tuple(first)
        kept: list[Tensor] = []
        outputs = []
        moments = zip(plan.steps, plan.resets(), *(sequence.unbind(0) for sequence in sequences), strict=True)
        with without_autocast(sequences[0].device.type):
            for t, (step, reset, *inputs) in enumerate(moments):
                if reset:
                    leaves = where_rows(plan.reset_TB[t], tuple(fresh), leaves)
                if plan.wanted:
                    kept += leaves
                y_BO, *after = step.forward([*constants, *inputs, *leaves])
                if plan.running_TB is not None and t >= plan.shortest:
                    y_BO = torch.where(plan.running_TB[t].unsqueeze(-1), y_BO, 0)
                    after = where_rows(plan.running_TB[t], tuple(after), leaves)
                leaves = tuple(after)
                outputs.append(y_BO)
        ctx.plan, ctx.fresh = plan, len(fresh)
        ctx.save_for_backward(*constants, *sequences, *kept)
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*(leaf for leaf in leaves if not leaf.is_floating_point()))
        return torch.stack(outputs), *_distinct(leaves)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        again = torch.is_grad_enabled()
        with torch.no_grad():
            results = _backward(ctx.plan, ctx.saved_tensors, gradients, ctx.fresh)
        return None, *(_FirstOnly.apply(result) if again and result is not None else result for result in results)


class _FirstOnly(torch.autograd.Function):
    """A first derivative, which has no graph of its own."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        raise OptionError(
            "engine='compiled' has no second derivatives: use engine='eager', or engine='checkpointed' around it."
        )


def _distinct(leaves: Leaves) -> list[Tensor]:
    """The leaves, where one is in two places copied: a result of a function has one place."""
    seen: set[int] = set()
    return [leaf.clone() if id(leaf) in seen else (seen.add(id(leaf)), leaf)[1] for leaf in leaves]
