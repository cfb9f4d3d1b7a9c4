"""The sparse engine: a sparse access memory in a buffer of the engine's own, so that a million slots can be trained.

The reference copies the memory at each step. This engine changes the rows that a step writes, in place. What the step
touched goes into a journal, as it was before; the backward pass computes each step again from that, the last one first,
and holds gradients of touched rows only. So neither the time for a step nor what is kept of it grows with the number of
slots, but for an exact search among many slots that were written.

Shapes: T time, B batch, I input, O output, N slots, W width, P slots that a step touches.
Source: Rae et al. 2016, "Scaling memory-augmented neural networks with sparse reads and writes", section 3.4.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import torch
from torch import Tensor

from torchmann.cells.memory_cell import MemoryCell
from torchmann.core.cell import Cell
from torchmann.core.errors import OptionError
from torchmann.core.precision import without_autocast
from torchmann.core.recorder import Recorder
from torchmann.core.state import Tree, where_rows
from torchmann.engines import eager
from torchmann.engines.flat import FirstOnly, filled, leaves_of
from torchmann.engines.sparse_backward import Reverse
from torchmann.engines.sparse_plan import Plan, autocast_now, structure
from torchmann.engines.sparse_step import LiveRows, on_rows
from torchmann.memories import SparseDNCMemory, SparseMemory, VisibleMemory


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

    With ``index="faiss"`` and thousands of slots written, the nearest slots are those that an index finds, not always
    the very nearest. While something is recorded, on the meta device, for an empty batch and under export, the eager
    engine runs instead.

    Raises:
        OptionError: the cell has no sparse access memory of the paper's form, or this is called within `torch.func`.
    """
    memory_cell, memory = runnable(cell)
    options: dict[str, Any] = {"schedule": schedule, "lengths_B": lengths_B, "reset_TB": reset_TB, "noise": noise}
    if Recorder.listening() or inputs_TBI.is_meta or not inputs_TBI.shape[1] or torch.compiler.is_exporting():
        return eager.unroll(cell, inputs_TBI, state, **options)
    if torch._C._are_functorch_transforms_active():
        raise OptionError("engine='sparse' cannot run within torch.func (vmap, grad or the like): use engine='eager'.")
    return _run(memory_cell, memory, inputs_TBI, state, **options)


def runnable(cell: Cell) -> tuple[MemoryCell, SparseMemory]:
    """The cell and its memory, if this is one that this engine can keep in its buffer.

    Raises:
        OptionError: it is not; says why.
    """
    memory = getattr(cell, "memory", None)
    if isinstance(cell, MemoryCell) and type(memory) is SparseMemory:
        return cell, memory
    reason = f"it runs a cell with a SparseMemory (SAM), not a {type(cell).__name__}"
    if isinstance(memory, SparseDNCMemory):
        reason = (
            "a step of the sparse DNC goes through the links of every slot to find those that lead to what was read"
        )
    elif isinstance(memory, VisibleMemory):
        reason = "variant='visible' keeps a weight of every slot, which variant='paper' does not"
    elif isinstance(cell, MemoryCell):
        reason += f" with a {type(memory).__name__}"
    raise OptionError(f"engine='sparse' cannot run this: {reason}; use engine='eager'.")


@torch.compiler.disable(reason="engine='sparse' changes buffers in place: engine='eager' can be part of a whole graph")
def _run(
    cell: MemoryCell,
    memory: SparseMemory,
    inputs_TBI: Tensor,
    state: Any,
    *,
    schedule: Sequence[Hashable],
    lengths_B: Tensor | None,
    reset_TB: Tensor | None,
    noise: Tree,
) -> tuple[Tensor, Any]:
    running_TB, resets = None, [None] * len(schedule)
    if lengths_B is not None:
        running_TB = (torch.arange(len(schedule)).unsqueeze(1) < lengths_B).to(inputs_TBI.device)
        # what stands in the padding must not reach a gradient, not even as NaN times zero
        inputs_TBI = torch.where(running_TB.unsqueeze(-1), inputs_TBI, 0)
    fresh: list[Tensor] = []
    if reset_TB is not None:
        fresh = list(leaves_of(_without_memory(cell.initial_state(inputs_TBI.shape[1]))))
        some = reset_TB.any(dim=1).tolist()
        resets = [reset_B if there else None for there, reset_B in zip(some, reset_TB, strict=True)]
    parameters, sequences = list(cell.parameters()), [inputs_TBI, *leaves_of(noise)]
    small = _without_memory(state)
    leaves = leaves_of(small)
    tensors = [*parameters, *sequences, *leaves, *fresh, state.memory.memory]
    plan = Plan(
        cell,
        memory,
        schedule,
        structure(small),
        structure(noise),
        (len(parameters), len(sequences), len(leaves)),
        running_TB,
        resets,
        fresh=bool(fresh),
        wanted=torch.is_grad_enabled() and any(value.requires_grad for value in tensors),
        device_type=inputs_TBI.device.type,
        autocast=autocast_now(inputs_TBI.device.type),
    )
    output_TBO, memory_BNW, elapsed_BN, *after = _Sequence.apply(plan, state.memory.elapsed, *tensors)
    state = filled(small, after)
    return output_TBO, state._replace(memory=state.memory._replace(memory=memory_BNW, elapsed=elapsed_BN))


def _without_memory(state: Any) -> Any:
    """The state without the leaves that grow with N."""
    return state._replace(memory=state.memory._replace(memory=(), elapsed=()))


class _Sequence(torch.autograd.Function):
    """``(plan, ages, *parameters, *sequences, *leaves, *fresh leaves, memory) -> output, memory, ages, *leaves``."""

    @staticmethod
    def forward(ctx: Any, plan: Plan, elapsed_BN: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        parameters, sequences, leaves, (*fresh, memory_BNW) = plan.split(tensors)
        rows = LiveRows(plan.memory, memory_BNW, elapsed_BN, steps=len(plan.schedule))
        cell = on_rows(plan.cell, plan.memory, rows)
        steps = {kind: cell.step_of_kind(kind) for kind in set(plan.schedule)}
        outputs, kept, shapes = [], [], []
        for t, (kind, x_BI, *drawn) in enumerate(zip(plan.schedule, *sequences, strict=True)):
            reset_B, running_B = plan.resets[t], plan.running(t)
            if reset_B is not None:
                leaves = list(where_rows(reset_B, tuple(fresh), tuple(leaves)))
                for row in reset_B.nonzero().squeeze(-1).tolist():
                    rows.restart(row)
            rows.begin(running_B)
            y_BO, after = steps[kind](x_BI, filled(plan.state, leaves), filled(plan.noise, drawn))
            if plan.wanted:
                slots_BP, rows_BPW, groups = rows.entry()
                kept += [*leaves, slots_BP, rows_BPW]
                shapes.append(groups)
            new = list(leaves_of(after))
            if running_B is not None:
                y_BO = torch.where(running_B.unsqueeze(-1), y_BO, 0)
                new = list(where_rows(running_B, tuple(new), tuple(leaves)))
            leaves = new
            outputs.append(y_BO)
        ctx.plan, ctx.shapes = plan, shapes
        ctx.save_for_backward(*parameters, *sequences, *kept)
        ctx.set_materialize_grads(False)
        results = [rows.buffer.memory(), rows.elapsed(), *(leaf.clone() for leaf in leaves)]
        ctx.mark_non_differentiable(*(value for value in results if not value.is_floating_point()))
        return torch.stack(outputs), *results

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        graph_asked = torch.is_grad_enabled()
        with torch.no_grad(), without_autocast(ctx.plan.device_type):
            reverse = Reverse(ctx.plan, ctx.saved_tensors, ctx.shapes, gradients)
            reverse.run()
            results = reverse.results(memory_wanted=ctx.needs_input_grad[-1])
        if graph_asked:
            results = [
                None if result is None else FirstOnly.apply(result.requires_grad_(), "sparse") for result in results
            ]
        return None, None, *results
