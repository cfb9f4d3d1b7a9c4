"""An LSTM with a DNC memory over a sequence, forward once and backward by hand; the memory is `manual_backward`'s.

Shapes: T time, B batch, I input, H hidden, R read heads, W width, S interface. ``d_x`` is the gradient of x.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from torchmann.cells import LSTMCell, MemoryAugmentedCell
from torchmann.core.state import map_leaves
from torchmann.engines.kernels.dnc.manual_backward import (
    MemoryStep,
    interface_backward,
    memory_step,
    memory_step_backward,
    values_of,
)
from torchmann.memories import DNCMemory


def lstm_backward(
    gates: tuple[Tensor, ...], c_before_BH: Tensor, c_BH: Tensor, d_h_BH: Tensor, d_c_BH: Tensor
) -> tuple[Tensor, Tensor]:
    """Of ``c = f c' + i g``, ``h = o tanh(c)``: the gradients of the pre-activations ``[B, 4 H]`` and of c'."""
    i, f, g, o = gates
    d_c_BH = d_c_BH + d_h_BH * o * (1 - c_BH.tanh().square())
    before = (
        d_c_BH * g * i * (1 - i),
        d_c_BH * c_before_BH * f * (1 - f),
        d_c_BH * i * (1 - g.square()),
        d_h_BH * c_BH.tanh() * o * (1 - o),
    )
    return torch.cat(before, dim=-1), d_c_BH * f


class Step(NamedTuple):
    """What a step of the cell keeps for its backward."""

    seen_BK: Tensor  # [x ; reads of the step before ; h of the step before]
    gates: tuple[Tensor, ...]
    c_before_BH: Tensor
    c_BH: Tensor
    h_BH: Tensor
    memory: MemoryStep


class Sequence:
    """A cell over a sequence from a given state: forward once, then backward.

    Args:
        cell: an `LSTMCell` that nothing limits with a `DNCMemory` of one write head.
    """

    def __init__(self, cell: MemoryAugmentedCell) -> None:
        self.inputs = cell.input_size
        self.controller: LSTMCell = cell.controller  # type: ignore[assignment]
        self.memory: DNCMemory = cell.memory  # type: ignore[assignment]
        self.to_interface: nn.Linear = cell.interface.linear  # type: ignore[assignment]
        self.steps: list[Step] = []

    def forward(self, inputs_TBI: Tensor, state: Any) -> tuple[Tensor, Tensor]:
        """The controller's outputs ``[T, B, H]`` and the reads ``[T, B, R W]``."""
        h_BH, c_BH = state.controller
        reads_BK, values = state.reads, values_of(state.memory)
        weight = torch.cat([self.controller.weight_ih, self.controller.weight_hh], dim=-1)
        outputs, reads = [], []
        for x_BI in inputs_TBI:
            seen_BK = torch.cat([x_BI, reads_BK, h_BH], dim=-1)
            i, f, g, o = F.linear(seen_BK, weight, self.controller.bias).chunk(4, -1)
            gates = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
            c_before_BH, c_BH = c_BH, gates[1] * c_BH + gates[0] * gates[2]
            h_BH = gates[3] * c_BH.tanh()
            fields = self.memory.interface(self.to_interface(h_BH))
            reads_BK, values, kept = memory_step(self.memory, fields, values)
            self.steps.append(Step(seen_BK, gates, c_before_BH, c_BH, h_BH, kept))
            outputs.append(h_BH)
            reads.append(reads_BK)
        return torch.stack(outputs), torch.stack(reads)

    def backward(self, d_outputs_TBH: Tensor, d_reads_TBK: Tensor) -> tuple[Tensor, dict[str, Tensor], Any]:
        """From the gradients of both to those of the inputs, the weights and the state: ``(h, c, reads, memory)``."""
        weight = torch.cat([self.controller.weight_ih, self.controller.weight_hh], dim=-1)
        inputs, reads_size = self.inputs, self.memory.read_size
        d_h_BH = d_c_BH = torch.zeros_like(d_outputs_TBH[0])
        d_reads_BK = torch.zeros_like(d_reads_TBK[0])
        d_values = map_leaves(torch.zeros_like, self.steps[-1].memory.before)
        d_gates, d_interfaces, d_inputs = [], [], []
        for step, d_output_BH, d_read_BK in zip(
            self.steps[::-1], d_outputs_TBH.flip(0), d_reads_TBK.flip(0), strict=True
        ):
            d_reads_BRW = (d_reads_BK + d_read_BK).unflatten(-1, (self.memory.reads, -1))
            d_fields, d_values = memory_step_backward(self.memory, step.memory, d_reads_BRW, d_values)
            d_interface_BS = interface_backward(self.memory, step.memory.fields, d_fields)
            d_h_BH = d_h_BH + d_output_BH + d_interface_BS @ self.to_interface.weight
            d_gate_BG, d_c_BH = lstm_backward(step.gates, step.c_before_BH, step.c_BH, d_h_BH, d_c_BH)
            d_x_BI, d_reads_BK, d_h_BH = (d_gate_BG @ weight).split([inputs, reads_size, d_h_BH.shape[-1]], dim=-1)
            d_gates.append(d_gate_BG)
            d_interfaces.append(d_interface_BS)
            d_inputs.append(d_x_BI)
        d_weights = self._weight_gradients(torch.cat(d_gates), torch.cat(d_interfaces))
        return torch.stack(d_inputs[::-1]), d_weights, (d_h_BH, d_c_BH, d_reads_BK, d_values)

    def _weight_gradients(self, d_gates_KG: Tensor, d_interface_KS: Tensor) -> dict[str, Tensor]:
        """The weights are the same at each step, so their gradients are one product over all steps and rows, K."""
        seen_KC = torch.cat([step.seen_BK for step in self.steps[::-1]])
        h_KH = torch.cat([step.h_BH for step in self.steps[::-1]])
        split = [self.controller.input_size, self.controller.hidden_size]
        d_weight_ih, d_weight_hh = (d_gates_KG.mT @ seen_KC).split(split, dim=-1)
        return {
            "controller.weight_ih": d_weight_ih,
            "controller.weight_hh": d_weight_hh,
            "controller.bias": d_gates_KG.sum(0),
            "interface.linear.weight": d_interface_KS.mT @ h_KH,
            "interface.linear.bias": d_interface_KS.sum(0),
        }
