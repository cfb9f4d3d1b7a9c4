"""One step at a time through the fused kernel, with buffers of its own: no allocation, no operator, no graph.

Shapes: B batch, I input, H controller output, R read heads, W width, O output.
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
from torchmann.engines.kernels.build import KernelUnavailable
from torchmann.engines.kernels.dnc import form as forms
from torchmann.engines.kernels.dnc.call import Call
from torchmann.engines.kernels.dnc.library import library
from torchmann.engines.kernels.pool import buffer


class FusedStepper:
    """Steps a cell of the DNC family in evaluation, from an input as it comes in to the output.

    Example::

        stepper = FusedStepper(model.cell, model.initial_state(1))
        for x in stream:                      # x: [1, I]
            y = stepper(x)                    # [1, O], as model.step would give it in evaluation

    The weights are read at every step, so they may change in between; a cell whose parameters become other tensors
    (by ``model.to(...)``) needs another stepper.

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
            self.form, self.weights = forms.form_of(cell)
            self.forward = library(self.weights[0].dtype).dnc_forward
        except (forms.Unsupported, KernelUnavailable) as reason:
            raise OptionError(f"a FusedStepper cannot step this, because {reason}: use model.step.") from reason
        self.load(state)

    @torch.no_grad()
    def load(self, state: Any) -> None:
        """Go on from `state`, which may have another batch size."""
        self.template = state
        dtype = self.weights[0].dtype
        self.leaves = [leaf.clone(memory_format=torch.contiguous_format) for leaf in forms.leaves_of(self.form, state)]
        rows = len(self.leaves[0])
        self.input_1BI = torch.zeros(1, rows, self.cell.input_size, dtype=dtype)
        self.output_1BH = torch.zeros(1, rows, self.form.hidden, dtype=dtype)
        self.reads_1BS = torch.zeros(1, rows, self.form.heads * self.form.width, dtype=dtype)
        self.kind_1 = torch.zeros(1, dtype=torch.int8)
        call = Call(
            self.input_1BI,
            self.weights,
            self.leaves,
            [],
            (self.kind_1, None, None),
            self.form,
            members=0,
            keep=False,
            interval=1,
        )
        # the kernel takes every row's state in before it gives it out again, so both may be the same tensors
        call.leaf_pointers(call.problem.final, self.leaves)
        self.room = buffer(call.sizes.tape, dtype), buffer(call.sizes.forward_scratch, dtype)
        call.problem.tape, call.problem.scratch = (part.data_ptr() for part in self.room)
        call.problem.output, call.problem.reads = self.output_1BH.data_ptr(), self.reads_1BS.data_ptr()
        self.call, self.problem = call, ctypes.byref(call.problem)

    @property
    def state(self) -> Any:
        """The state now, as the reference has it; a copy."""
        return forms.state_from(self.form, self.template, [leaf.clone() for leaf in self.leaves])

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
        if kind not in forms.KINDS:
            raise OptionError(f"the fused kernel has no step {kind!r}: use model.step.")
        self.time += 1
        self.kind_1.fill_(forms.KINDS[kind])
        self.input_1BI.copy_(x_BI)
        if len(x_BI):
            self.forward(self.problem)
        return self.cell.readout(self.output_1BH[0], self.reads_1BS[0])
