"""The reference engine: one step after the other, in a Python loop.

Shapes: T time, B batch, I input, O output.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import torch
from torch import Tensor

from torchmann.core.cell import Cell
from torchmann.core.recorder import record_state
from torchmann.core.state import Tree, map_leaves, where_rows


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
    """Run `cell` over the time axis.

    Args:
        cell: what to run.
        inputs_TBI: the sequence.
        state: before the first step.
        schedule: the kind of each of the T steps.
        lengths_B: steps of each row, on the CPU; past its end a row's state is frozen and its output is zero.
        reset_TB: True where a row starts anew before that step.
        noise: the noise of all steps, ``[T, B, ...]`` in each leaf.

    Returns:
        Outputs ``[T, B, O]`` and the state after the last step (of each row).
    """
    steps = {kind: cell.step_of_kind(kind) for kind in set(schedule)}
    if lengths_B is None:
        shortest, running_TB = len(schedule), None
    else:
        shortest = int(lengths_B.min()) if len(lengths_B) else len(schedule)
        times_T1 = torch.arange(len(schedule)).unsqueeze(1)
        running_TB = (times_T1 < lengths_B).to(inputs_TBI.device, non_blocking=True)
        # what stands in the padding must not reach a gradient, not even as NaN times zero
        inputs_TBI = torch.where(running_TB.unsqueeze(-1), inputs_TBI, 0)
    initial = None if reset_TB is None else cell.initial_state(inputs_TBI.shape[1])
    resets = [] if reset_TB is None else reset_TB.any(dim=1).tolist()

    outputs = []
    for t, (kind, x_BI) in enumerate(zip(schedule, inputs_TBI.unbind(0), strict=True)):
        if reset_TB is not None and resets[t]:
            state = where_rows(reset_TB[t], initial, state)
        y_BO, after = steps[kind](x_BI, state, map_leaves(lambda leaf, t=t: leaf[t], noise))
        if running_TB is not None and t >= shortest:
            y_BO = torch.where(running_TB[t].unsqueeze(-1), y_BO, 0)
            after = where_rows(running_TB[t], after, state)
        state = after
        record_state(cell, state)
        outputs.append(y_BO)
    return torch.stack(outputs), state
