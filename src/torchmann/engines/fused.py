"""The fused engine: a controller with a DNC memory over a whole sequence in one kernel, forward and backward.

What is around the step, the readout and the dropout before it, stays in torch and runs once for all steps.

Shapes: T time, B batch, I input, H controller output, O output.
"""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from torchmann.core import gradients
from torchmann.core.cell import Cell
from torchmann.core.errors import OptionError
from torchmann.core.recorder import Recorder
from torchmann.core.state import Tree
from torchmann.engines import eager
from torchmann.engines.kernels.build import KernelUnavailable
from torchmann.engines.kernels.dnc import form as forms
from torchmann.engines.kernels.dnc.call import encoded
from torchmann.engines.kernels.dnc.library import library
from torchmann.engines.kernels.dnc.operator import dnc_sequence

INTERVAL = 4
"""Writes between two snapshots of memory and links: the backward makes those in between anew, in cache."""


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
        OptionError: the kernel cannot run the cell, or cannot be built here; says why.
    """
    arguments: dict[str, Any] = {"schedule": schedule, "lengths_B": lengths_B, "reset_TB": reset_TB, "noise": noise}
    if Recorder.listening():
        return eager.unroll(cell, inputs_TBI, state, **arguments)
    try:
        return _unroll(cell, inputs_TBI, state, **arguments)
    except (forms.Unsupported, KernelUnavailable) as reason:
        raise OptionError(f"the fused engine cannot run this, because {reason}: use engine='auto'.") from reason


def unroll_where_possible(cell: Cell, inputs_TBI: Tensor, state: Any, **arguments: Any) -> tuple[Tensor, Any]:
    """What ``engine="auto"`` does: the fused engine where it can run, the eager one elsewhere.

    That there is no kernel on this machine is said once, in a warning; a cell that is none for it runs eager silently.
    """
    if not Recorder.listening():
        try:
            return _unroll(cell, inputs_TBI, state, **arguments)
        except forms.Unsupported:
            pass
        except KernelUnavailable as reason:
            _warn(str(reason))
    return eager.unroll(cell, inputs_TBI, state, **arguments)


def problem_here() -> str:
    """Why there is no kernel on this machine; empty if there is one."""
    try:
        library(torch.float32)
    except KernelUnavailable as reason:
        return str(reason)
    return ""


@cache
def _warn(reason: str) -> None:
    warnings.warn(f"DNCs run in the eager engine, because {reason}", stacklevel=2)


def _unroll(
    cell: Any,
    inputs_TBI: Tensor,
    state: Any,
    *,
    schedule: Sequence[Hashable],
    lengths_B: Tensor | None = None,
    reset_TB: Tensor | None = None,
    noise: Tree = None,
) -> tuple[Tensor, Any]:
    form, weights = forms.form_of(cell)
    kinds = forms.kinds_of(schedule)
    dtype = weights[0].dtype
    _require_fit(inputs_TBI, dtype, noise)
    integers, limits = encoded(form)
    leaves = forms.leaves_of(form, state)
    ended = lengths_B is not None and len(lengths_B) > 0 and int(lengths_B.min()) == 0  # before a chunk began
    if not kinds and not ended:
        leaves = forms.without_unused_gradient(form, leaves)
    output_TBH, reads, _, *final = dnc_sequence(
        inputs_TBI.to(dtype),
        weights,
        leaves,
        [] if reset_TB is None else forms.leaves_of(form, cell.initial_state(inputs_TBI.shape[1])),
        torch.tensor(kinds, dtype=torch.int8) if kinds else None,
        lengths_B,
        reset_TB,
        integers,
        limits,
        0,
        torch.is_grad_enabled(),
        INTERVAL,
    )
    if noise is not None and noise.kept is not None:
        output_TBH = output_TBH * noise.kept / (1 - cell.bypass_dropout)
    y_TBO = cell.readout(output_TBH, reads)
    if lengths_B is not None:
        running_TB = torch.arange(inputs_TBI.shape[0]).unsqueeze(1) < lengths_B
        y_TBO = torch.where(running_TB.unsqueeze(-1), y_TBO, 0)
    return y_TBO, forms.state_from(form, state, final)


def _require_fit(inputs_TBI: Tensor, dtype: torch.dtype, noise: Tree) -> None:
    """Raise for a call that the kernel cannot answer, whatever the cell, or where there is none."""
    if inputs_TBI.device.type != "cpu" or dtype not in (torch.float32, torch.float64):
        raise forms.Unsupported(f"it runs float32 and float64 on the CPU, not {dtype} on {inputs_TBI.device}")
    if noise is not None and (noise.controller is not None or noise.memory is not None):
        raise forms.Unsupported("it takes no noise inside a step, as of zoneout")
    if gradients.in_differentiable_form():
        raise forms.Unsupported("its stop-gradients have no differentiable form")
    if torch.compiler.is_compiling():  # the compiler cannot look into what follows
        return
    if forms.inside_gradient_transform():
        raise forms.Unsupported("torch.func's gradients cannot go through it; those of backward() can")
    library(dtype)
