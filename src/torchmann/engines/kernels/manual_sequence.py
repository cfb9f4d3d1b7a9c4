"""An LSTM with a memory over a sequence, forward once and backward by hand.

Shapes: T time, B batch, I input, H hidden, R read heads, W width, S interface. ``d_x`` is the gradient of x.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from torchmann.cells import LSTMCell, MemoryAugmentedCell
from torchmann.core.state import map_leaves
from torchmann.engines.kernels.manual import lstm_backward


class ManualMemory(Protocol):
    """A memory by hand: the module ``manual_backward`` of a kernel."""

    def values_of(self, state: Any) -> Any:
        """The state as a tuple of tensors."""

    def fields_of(self, memory: Any, interface_BS: Tensor) -> dict[str, Tensor]:
        """The activated fields of an interface vector."""

    def interface_backward(self, memory: Any, fields: dict[str, Tensor], d_fields: dict[str, Tensor]) -> Tensor:
        """From the gradients of the activated fields to that of the interface vector ``[B, S]``."""

    def memory_step(self, memory: Any, fields: dict[str, Tensor], before: Any) -> tuple[Tensor, Any, Any]:
        """The reads ``[B, R W]``, the new values, and what the backward needs: ``fields``, ``before`` and more."""

    def memory_step_backward(
        self, memory: Any, step: Any, d_reads_BRW: Tensor, d_after: Any
    ) -> tuple[dict[str, Tensor], Any]:
        """From the gradients of the reads and of the new values to those of the fields and of the values before.

        Among the fields may be parameters of the memory, by name.
        """


class Step(NamedTuple):
    """What a step of the cell keeps for its backward."""

    seen_BK: Tensor  # [x ; reads of the step before ; h of the step before]
    gates: tuple[Tensor, ...]
    c_before_BH: Tensor
    c_BH: Tensor
    h_BH: Tensor
    memory: Any


class Sequence:
    """A cell over a sequence from a given state: forward once, then backward.

    Args:
        cell: an `LSTMCell` that nothing limits, with a memory.
        by_hand: the equations of that memory.
    """

    def __init__(self, cell: MemoryAugmentedCell, by_hand: ManualMemory) -> None:
        self.inputs = cell.input_size
        self.controller: LSTMCell = cell.controller  # type: ignore[assignment]
        self.memory: Any = cell.memory
        self.by_hand = by_hand
        self.to_interface: nn.Linear = cell.interface.linear  # type: ignore[assignment]
        self.steps: list[Step] = []

    def forward(self, inputs_TBI: Tensor, state: Any) -> tuple[Tensor, Tensor]:
        """The controller's outputs ``[T, B, H]`` and the reads ``[T, B, R W]``."""
        h_BH, c_BH = state.controller
        reads_BK, values = state.reads, self.by_hand.values_of(state.memory)
        weight = torch.cat([self.controller.weight_ih, self.controller.weight_hh], dim=-1)
        outputs, reads = [], []
        for x_BI in inputs_TBI:
            seen_BK = torch.cat([x_BI, reads_BK, h_BH], dim=-1)
            i, f, g, o = F.linear(seen_BK, weight, self.controller.bias).chunk(4, -1)
            gates = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
            c_before_BH, c_BH = c_BH, gates[1] * c_BH + gates[0] * gates[2]
            h_BH = gates[3] * c_BH.tanh()
            fields = self.by_hand.fields_of(self.memory, self.to_interface(h_BH))
            reads_BK, values, kept = self.by_hand.memory_step(self.memory, fields, values)
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
        d_own: dict[str, Tensor] = {}  # of parameters of the memory itself, which stand beside its fields
        for step, d_output_BH, d_read_BK in zip(
            self.steps[::-1], d_outputs_TBH.flip(0), d_reads_TBK.flip(0), strict=True
        ):
            d_reads_BRW = (d_reads_BK + d_read_BK).unflatten(-1, (self.memory.reads, -1))
            d_fields, d_values = self.by_hand.memory_step_backward(self.memory, step.memory, d_reads_BRW, d_values)
            for name in d_fields.keys() - step.memory.fields.keys():
                d_own[f"memory.{name}"] = d_own.get(f"memory.{name}", 0) + d_fields[name]
            d_interface_BS = self.by_hand.interface_backward(self.memory, step.memory.fields, d_fields)
            d_h_BH = d_h_BH + d_output_BH + d_interface_BS @ self.to_interface.weight
            d_gate_BG, d_c_BH = lstm_backward(step.gates, step.c_before_BH, step.c_BH, d_h_BH, d_c_BH)
            d_x_BI, d_reads_BK, d_h_BH = (d_gate_BG @ weight).split([inputs, reads_size, d_h_BH.shape[-1]], dim=-1)
            d_gates.append(d_gate_BG)
            d_interfaces.append(d_interface_BS)
            d_inputs.append(d_x_BI)
        d_weights = self._weight_gradients(torch.cat(d_gates), torch.cat(d_interfaces))
        return torch.stack(d_inputs[::-1]), d_weights | d_own, (d_h_BH, d_c_BH, d_reads_BK, d_values)

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
