"""The fused engine: a controller with a DNC memory over a whole sequence in one kernel, forward and backward.

Shapes: T time, B batch, I input, O output.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import torch
from torch import Tensor

from torchmann.core.cell import Cell
from torchmann.core.errors import OptionError
from torchmann.core.recorder import Recorder
from torchmann.core.state import Tree
from torchmann.engines import eager
from torchmann.engines.kernels.build import KernelUnavailable
from torchmann.engines.kernels.dnc import form as forms
from torchmann.engines.kernels.dnc.library import library
from torchmann.engines.kernels.dnc.operator import dnc_sequence, encoded


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
    """Run `cell` over the time axis, with the arguments and results of `eager.unroll`; while recording, by it.

    Raises:
        OptionError: the kernel cannot run the cell, or cannot be built here.
    """
    arguments: dict[str, Any] = {"lengths_B": lengths_B, "reset_TB": reset_TB, "noise": noise}
    if Recorder.is_open():
        return eager.unroll(cell, inputs_TBI, state, schedule=schedule, **arguments)
    try:
        return _unroll(cell, inputs_TBI, state, schedule=schedule, **arguments)
    except (forms.Unsupported, KernelUnavailable) as reason:
        raise OptionError(f"the fused engine cannot run this: {reason}; use engine='auto'.") from reason


def _unroll(
    cell: Cell,
    inputs_TBI: Tensor,
    state: Any,
    *,
    schedule: Sequence[Hashable],
    lengths_B: Tensor | None,
    reset_TB: Tensor | None,
    noise: Tree,
) -> tuple[Tensor, Any]:
    form, weights = forms.form_of(cell)
    forms.noise_problem(noise)
    kinds = forms.kinds_of(schedule)
    dtype = weights[0].dtype
    if inputs_TBI.device.type != "cpu" or dtype not in (torch.float32, torch.float64):
        raise forms.Unsupported(f"it runs float32 and float64 on the CPU, not {dtype} on {inputs_TBI.device}")
    library(dtype)
    steps, batch_size = inputs_TBI.shape[:2]
    leaves = forms.leaves_of(form, state)
    fresh = [] if reset_TB is None else forms.leaves_of(form, cell.initial_state(batch_size))
    integers, limits = encoded(form)
    keep = torch.is_grad_enabled()
    output, reads, _, *final = dnc_sequence(
        inputs_TBI.to(dtype),
        weights,
        leaves,
        fresh,
        torch.tensor(kinds, dtype=torch.int8) if kinds else None,
        lengths_B,
        reset_TB,
        integers,
        limits,
        0,
        keep,
        8,
    )
    kept = None if noise is None else noise.kept
    seen_TBH = output if kept is None else output * kept / (1 - cell.bypass_dropout)
    y_TBO = cell.readout(seen_TBH, reads)
    if lengths_B is not None:
        running_TB1 = (torch.arange(steps).unsqueeze(1) < lengths_B).unsqueeze(-1)
        y_TBO = torch.where(running_TB1, y_TBO, 0)
    return y_TBO, forms.state_from(form, state, final)
