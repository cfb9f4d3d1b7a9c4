"""One step at a time through the fused kernel, with buffers of its own: no allocation, no operator, no graph.

Shapes: B batch, I input, O output.
"""

from __future__ import annotations

import ctypes
from collections.abc import Hashable
from typing import Any

import torch
from torch import Tensor

from torchmann.core.cell import Cell
from torchmann.core.errors import OptionError, ShapeError
from torchmann.core.recorder import Recorder
from torchmann.engines import fused
from torchmann.engines.kernels.build import KernelUnavailable
from torchmann.engines.kernels.call import Call
from torchmann.engines.kernels.kernel import Unsupported
from torchmann.engines.kernels.library import library
from torchmann.engines.kernels.pool import buffer


class FusedStepper:
    """Steps a cell that has a kernel in evaluation, from an input as it comes in to the output.

    Example::

        stepper = FusedStepper(model.cell, model.initial_state(1))
        for x in stream:                      # x: [1, I]
            y = stepper(x)                    # [1, O], as model.step would give it in evaluation

    The weights are read at every step, so they may change in between; a cell whose parameters become other tensors
    (by ``model.to(...)``) needs another stepper, and so does an AwTA or a TARDIS whose parameters have changed: its
    kernel takes weights that are made of several of them.

    Args:
        cell: one that ``engine="fused"`` runs.
        state: to start from; it is copied, not changed.
        start: absolute number of the first step, which the cell's writing policy goes by.

    Raises:
        OptionError: the kernel cannot run the cell, or cannot be built here; says why.
    """

    def __init__(self, cell: Cell, state: Any, *, start: int = 0) -> None:
        self.cell: Any = cell
        self.time = start
        try:
            self.kernel = fused.operator_for(cell).kernel
            self.form, self.weights = self.kernel.form_of(cell)
            self.forward = library(self.kernel, self.weights[0].dtype).kernel_forward
        except (Unsupported, KernelUnavailable) as reason:
            raise OptionError(f"a FusedStepper cannot step this, because {reason}: use model.step.") from reason
        self.load(state)

    @torch.no_grad()
    def load(self, state: Any) -> None:
        """Go on from `state`, which may have another batch size."""
        self.template = state
        dtype = self.weights[0].dtype
        leaves = self.kernel.leaves_of(self.form, state)
        self.leaves = [leaf.clone(memory_format=torch.contiguous_format) for leaf in leaves]
        rows = len(self.leaves[0])
        self.input_1BI = torch.zeros(1, rows, self.cell.input_size, dtype=dtype)
        self.kind_1 = torch.zeros(1, dtype=torch.int8)
        steps = (self.kind_1, None, None)
        call = Call(self.kernel, self.input_1BI, self.weights, [], self.leaves, [], steps, self.form, 0, False)
        self.outputs = [torch.zeros(shape, dtype=dtype) for shape in call.output_shapes.values()]  # [1, B, ...]
        # the kernel takes every row's state in before it gives it out again, so both may be the same tensors
        call.leaf_pointers(call.problem.final, self.leaves)
        call.output_pointers(call.problem.output, self.outputs)
        self.room = buffer(call.sizes.tape, dtype), buffer(call.sizes.forward_scratch, dtype)
        call.problem.tape, call.problem.scratch = (part.data_ptr() for part in self.room)
        self.call, self.problem = call, ctypes.byref(call.problem)

    @property
    def state(self) -> Any:
        """The state now, as the reference has it; a copy."""
        return self.kernel.state_from(self.form, self.template, [leaf.clone() for leaf in self.leaves])

    @torch.no_grad()
    def __call__(self, x_BI: Tensor, *, kind: Hashable = None) -> Tensor:
        """One step.

        Args:
            x_BI: the input.
            kind: of the step; None is what the cell's writing policy says.

        Returns:
            The output ``[B, O]``.

        Raises:
            ShapeError: `x_BI` has not the rows of the state and the features of the cell.
            OptionError: an unknown kind, or something is being recorded: a kernel shows nothing of its inside.
        """
        if Recorder.listening():
            raise OptionError("a FusedStepper shows nothing of its inside: record model.step instead.")
        if x_BI.shape != self.input_1BI.shape[1:]:
            raise ShapeError(f"input must be {list(self.input_1BI.shape[1:])}, got {list(x_BI.shape)}.")
        kind = self.cell.schedule(1, self.time)[0] if kind is None else kind
        if kind not in self.kernel.step_kinds:
            raise OptionError(f"the fused kernel has no step {kind!r}: use model.step.")
        self.time += 1
        self.kind_1.fill_(self.kernel.step_kinds[kind])
        self.input_1BI.copy_(x_BI)
        if len(x_BI):
            self.forward(self.problem)
        outputs = [output[0] for output in self.outputs]
        y_BO = self.kernel.readout(self.cell, outputs, None)
        return y_BO.clone() if any(y_BO is output for output in outputs) else y_BO  # the next step overwrites those
