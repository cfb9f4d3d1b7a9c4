"""The fused engine: a cell over a whole sequence in one kernel, forward and backward.

What is around the step, as the readout and the dropout before it, stays in torch and runs once for all steps.

Shapes: T time, B batch, I input, O output.
"""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Sequence
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor

from torchmann.cells import SkipStacked, Stacked
from torchmann.core import gradients
from torchmann.core.cell import Cell
from torchmann.core.errors import OptionError
from torchmann.core.recorder import Recorder
from torchmann.core.state import Tree
from torchmann.engines import eager
from torchmann.engines.kernels.armin.kernel import ARMINKernel
from torchmann.engines.kernels.build import KernelUnavailable
from torchmann.engines.kernels.dnc.kernel import DNCKernel
from torchmann.engines.kernels.kernel import Unsupported, refuse_hooks
from torchmann.engines.kernels.library import library
from torchmann.engines.kernels.ntm.kernel import NTMKernel
from torchmann.engines.kernels.operator import Operator
from torchmann.engines.kernels.recurrent.kernel import RecurrentKernel

OPERATORS = (
    Operator(DNCKernel()),
    Operator(NTMKernel()),
    Operator(ARMINKernel()),
    Operator(RecurrentKernel()),
)
"""Those of all kernels; a cell runs in the first that takes it."""


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
        OptionError: no kernel can run the cell, or it cannot be built here; says why.
    """
    arguments: dict[str, Any] = {"schedule": schedule, "lengths_B": lengths_B, "reset_TB": reset_TB, "noise": noise}
    if Recorder.listening():
        return eager.unroll(cell, inputs_TBI, state, **arguments)
    try:
        return _unroll(cell, inputs_TBI, state, **arguments)
    except (Unsupported, KernelUnavailable) as reason:
        raise OptionError(f"the fused engine cannot run this, because {reason}: use engine='auto'.") from reason


def unroll_where_possible(cell: Cell, inputs_TBI: Tensor, state: Any, **arguments: Any) -> tuple[Tensor, Any]:
    """What ``engine="auto"`` does: the fused engine where it can run, the eager one elsewhere.

    That there is no kernel on this machine is said once, in a warning; a cell that is none for it runs eager silently.
    """
    if not Recorder.listening():
        try:
            return _unroll(cell, inputs_TBI, state, **arguments)
        except Unsupported:
            pass
        except KernelUnavailable as reason:
            _warn(str(reason))
    return eager.unroll(cell, inputs_TBI, state, **arguments)


def operator_for(cell: Cell) -> Operator:
    """The operator of the kernel for such cells.

    Raises:
        Unsupported: there is none.
    """
    for operator in OPERATORS:
        if operator.kernel.takes(cell):
            return operator
    memory = getattr(cell, "memory", None)
    what = type(cell).__name__ + (f" with a {type(memory).__name__}" if memory is not None else "")
    raise Unsupported(f"there is no kernel for a {what}")


def problem_here() -> str:
    """Why there is no kernel on this machine; empty if there is one."""
    try:
        library(OPERATORS[0].kernel, torch.float32)
    except KernelUnavailable as reason:
        return str(reason)
    return ""


@cache
def _warn(reason: str) -> None:
    warnings.warn(f"models run in the eager engine, because {reason}", stacklevel=2)


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
    if type(cell) in (Stacked, SkipStacked):
        arguments = {"lengths_B": lengths_B, "reset_TB": reset_TB}
        return _unroll_layers(cell, inputs_TBI, state, schedule=schedule, noise=noise, **arguments)
    operator = operator_for(cell)
    kernel = operator.kernel
    form, weights = kernel.form_of(cell)
    kinds, drawn = kernel.kinds_of(schedule), kernel.noise_of(noise)
    form = form._replace(noise=tuple(name for name in kernel.noise if name in drawn))
    dtype = weights[0].dtype
    if inputs_TBI.device.type != "cpu" or dtype not in (torch.float32, torch.float64):
        raise Unsupported(f"it runs float32 and float64 on the CPU, not {dtype} on {inputs_TBI.device}")
    _require_fit(drawn)
    if not torch.compiler.is_compiling():  # the compiler cannot look into what follows
        library(kernel, dtype)
    integers, limits = kernel.encoded(form)
    leaves = kernel.leaves_of(form, state)
    ended = lengths_B is not None and len(lengths_B) > 0 and int(lengths_B.min()) == 0  # before a chunk began
    if not kinds and not ended:
        leaves = kernel.without_unused_gradient(form, leaves)
    results = operator.sequence(
        inputs_TBI.to(dtype),
        weights,
        leaves,
        [] if reset_TB is None else kernel.leaves_of(form, cell.initial_state(inputs_TBI.shape[1])),
        [drawn[name].to(dtype) for name in form.noise],
        torch.tensor(kinds, dtype=torch.int8) if kinds else None,
        lengths_B,
        reset_TB,
        integers,
        limits,
        0,
        torch.is_grad_enabled(),
    )
    tape = len(kernel.outputs)
    y_TBO = kernel.readout(cell, results[:tape], noise)
    if lengths_B is not None:
        running_TB = torch.arange(inputs_TBI.shape[0]).unsqueeze(1) < lengths_B
        y_TBO = torch.where(running_TB.unsqueeze(-1), y_TBO, 0)
    return y_TBO, kernel.state_from(form, state, results[tape + 1 :])


def _unroll_layers(
    cell: Stacked, inputs_TBI: Tensor, state: Any, *, schedule: Sequence[Hashable], noise: Any, **arguments: Any
) -> tuple[Tensor, Any]:
    """Each layer over the whole sequence, one after the other."""
    refuse_hooks(cell)
    for layer in cell.cells:  # none runs unless all can
        operator_for(layer).kernel.form_of(layer)

    def over_time(number: int, x_TBI: Tensor, state: Any, noise: Tree) -> tuple[Tensor, Any]:
        kinds = [kind[number] if isinstance(kind, tuple) else kind for kind in schedule]
        return _unroll(cell.cells[number], x_TBI, state, schedule=kinds, noise=noise, **arguments)

    layers = [partial(over_time, number) for number in range(len(cell.cells))]
    return cell.through(layers, inputs_TBI, state, noise)


def _require_fit(drawn: dict[str, Tensor]) -> None:
    """Raise for a call that no kernel can answer."""
    if any(tensor.requires_grad for tensor in drawn.values()):
        raise Unsupported("it has no gradient of the noise")
    if gradients.in_differentiable_form():
        raise Unsupported("its stop-gradients have no differentiable form")
    if not torch.compiler.is_compiling() and _inside_gradient_transform():
        raise Unsupported("torch.func's gradients cannot go through it; those of backward() can")


def _inside_gradient_transform() -> bool:
    """Whether a transform of `torch.func` other than vmap is at work."""
    stack = torch._C._functorch.get_interpreter_stack()
    return stack is not None and any(level.key() != torch._C._functorch.TransformType.Vmap for level in stack)
