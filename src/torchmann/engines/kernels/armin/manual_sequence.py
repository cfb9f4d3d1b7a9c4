"""A cell that reads first over a sequence, forward once and backward by hand, in the steps that the kernel takes.

What the slots show to a comparison, ``S = W_m M + W_k key``, which the cell makes anew at each step, is carried here:
it is linear in M, so a write of e to M is one of ``W_m e + W_k key`` to S, of one row where one slot is written.
Backward, the gradient of S is gathered over the steps, and goes through W_m once for each write.

Shapes: T time, B batch, I input, D reads, H hidden, N slots, W width, Q comparison. ``d_x`` is the gradient of x.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from torchmann.cells import ARMINCell, ReadFirstCell, Zoneout
from torchmann.engines.kernels.armin.manual_backward import (
    Comparison,
    armin_step,
    armin_step_backward,
    choice_backward,
    compare,
    compare_backward,
    linear_backward,
    read_backward,
    tardis_step,
    tardis_step_backward,
    unit_backward,
    write_backward,
)
from torchmann.memories.addressing import TardisAddressing, unit


class Values(NamedTuple):
    """What is carried from step to step; of `filled` there is no gradient."""

    h: Any
    c: Any  # zero without
    memory: Any
    slots: Any  # S; zero without
    read_weights: Any
    usage: Any
    filled: Any


class Step(NamedTuple):
    """What a step keeps."""

    before: Values
    asks: Tensor  # [x ; h or c ; u / |u|]
    comparison: Comparison | None
    soft_BN: Tensor
    weights_BN: Tensor
    controller: Any
    masks: tuple[Any, ...]
    stored: Tensor  # what the map to the entry sees
    entry_BW: Tensor
    write_BN: Tensor


class Sequence:
    """A cell over a sequence from a given state: forward once, then backward.

    Args:
        cell: with a `SlotHistory`, and an `ARMINCell` or a `TARDISCell`, in a `Zoneout` or not.
    """

    def __init__(self, cell: ReadFirstCell) -> None:
        self.cell: Any = cell
        self.zoneout = cell.controller if isinstance(cell.controller, Zoneout) else None
        self.controller: Any = cell.controller if self.zoneout is None else self.zoneout.controller
        self.memory: Any = cell.memory
        self.addressing: Any = self.memory.addressing
        self.compares = isinstance(self.addressing, TardisAddressing)
        self.steps: list[Step] = []

    def ask_weight(self) -> Tensor:
        """The map to the address; where slots are compared, with its part for the usage."""
        weight = self.cell.address.linear.weight
        return torch.cat([weight, self.addressing.from_usage.weight], dim=-1) if self.compares else weight

    def start(self, state: Any) -> Values:
        """What is carried, from a state."""
        memory, zero = state.memory, torch.zeros_like(state.controller.h)
        slots: Any = 0
        if self.compares:
            slots = self.addressing.from_memory(memory.memory) + self.addressing.from_key(self.addressing.keys)
        c = getattr(state.controller, "c", zero)
        usage = memory.usage if self.compares else 0
        return Values(state.controller.h, c, memory.memory, slots, memory.read_weights[:, 0], usage, memory.filled)

    def forward(self, x_TBI: Tensor, state: Any, noise: Any) -> tuple[Tensor, Tensor]:
        """The controller's outputs and the reads of all steps."""
        self.first = values = self.start(state)
        outputs, reads = [], []
        for t, x_BI in enumerate(x_TBI):
            drawn = None if noise is None or noise.memory is None else noise.memory.address[t]
            r_BD, values, looked = self.look(x_BI, values, drawn)
            output, values = self.control(x_BI, r_BD, values, looked, None if noise is None else noise.controller, t)
            outputs.append(output)
            reads.append(r_BD)
        return torch.stack(outputs), torch.stack(reads)

    def look(self, x_BI: Tensor, values: Values, noise_BN: Tensor | None) -> tuple[Tensor, Values, dict[str, Any]]:
        """The reads, the values after, and the first part of a `Step`."""
        asks = torch.cat([x_BI, getattr(values, self.cell.address.sources[1])], dim=-1)
        asks = torch.cat([asks, unit(values.usage)], dim=-1) if self.compares else asks
        logits_BN, comparison = F.linear(asks, self.ask_weight(), self.cell.address.linear.bias), None
        if self.compares:
            logits_BN, comparison = compare(self.addressing, logits_BN, values.slots, values.read_weights)
        logits_BN = logits_BN if noise_BN is None else logits_BN + noise_BN
        soft_BN = (logits_BN / self.addressing.temperature).softmax(-1)
        weights_BN = soft_BN
        if self.addressing.noisy:
            weights_BN = F.one_hot(logits_BN.argmax(-1), logits_BN.shape[-1]).type_as(soft_BN)
        r_BD = (weights_BN.unsqueeze(1) @ values.memory).squeeze(1)
        if self.memory.read_keys:
            r_BD = torch.cat([weights_BN @ self.addressing.keys, r_BD], dim=-1)
        usage = values.usage + weights_BN if self.compares else 0
        looked = {"before": values, "asks": asks, "comparison": comparison, "soft_BN": soft_BN}
        return r_BD, values._replace(read_weights=weights_BN, usage=usage), looked | {"weights_BN": weights_BN}

    def control(
        self, x_BI: Tensor, r_BD: Tensor, values: Values, looked: dict[str, Any], noise: Any, t: int
    ) -> tuple[Tensor, Values]:
        """The output and the values after a controller's step, zoneout and the write."""
        masks: tuple[Any, ...] = (1.0, 1.0)
        if self.zoneout is not None:
            kept = self.zoneout.keep if noise is None else noise.kept
            masks = tuple(mask if isinstance(mask, float) else mask[t] for mask in (kept.h, getattr(kept, "c", 1.0)))
            noise = None if noise is None else noise.controller
        c = values.c
        if isinstance(self.controller, ARMINCell):
            output, h, kept = armin_step(self.controller, x_BI, r_BD, values.h)
        else:
            gates = None if noise is None else noise.gates[t]
            h, c, kept = tardis_step(self.controller, x_BI, r_BD, values.h, values.c, gates)
        h, c = torch.lerp(values.h, h, masks[0]), torch.lerp(values.c, c, masks[1])
        output = output if isinstance(self.controller, ARMINCell) else h
        stored = torch.cat([{"x": x_BI, "h": h}[source] for source in self.cell.entry.sources], dim=-1)
        entry_BW = self.cell.entry.linear(stored)
        slots_N = torch.arange(self.memory.slots)
        filled_B1 = values.filled.unsqueeze(-1)
        write_BN = torch.where(filled_B1 < self.memory.slots, (slots_N == filled_B1).type_as(h), values.read_weights)
        memory = torch.lerp(values.memory, entry_BW.unsqueeze(1), write_BN.unsqueeze(-1))
        slots: Any = 0
        if self.compares:
            shown = self.addressing.from_memory(entry_BW).unsqueeze(1) + self.addressing.from_key(self.addressing.keys)
            slots = torch.lerp(values.slots, shown, write_BN.unsqueeze(-1))
        step = Step(**looked, controller=kept, masks=masks, stored=stored, entry_BW=entry_BW, write_BN=write_BN)
        self.steps.append(step)
        filled = (values.filled + 1).clamp(max=self.memory.slots)
        return output, values._replace(h=h, c=c, memory=memory, slots=slots, filled=filled)

    def backward(self, d_outputs: Tensor, d_reads_TBD: Tensor) -> tuple[Tensor, dict[str, Tensor], Values]:
        """From the gradients of both to those of the inputs, the weights and the state."""
        self.found: dict[str, Tensor] = defaultdict(float)  # type: ignore[arg-type]
        d = Values(*(torch.zeros_like(value) if isinstance(value, Tensor) else 0 for value in self.first))
        d_inputs = []
        for step, d_output, d_r_BD in zip(self.steps[::-1], d_outputs.flip(0), d_reads_TBD.flip(0), strict=True):
            d_stored_x, d = self.write_step_backward(step, d)
            d_x, d_r, d = self.control_backward(step, d_output, d)
            d_asked_x, d = self.look_backward(step, d_r_BD + d_r, d)
            d_inputs.append(d_stored_x + d_x + d_asked_x)
        return torch.stack(d_inputs[::-1]), self.found, self.start_backward(d)

    def add(self, prefix: str, gradients: dict[str, Tensor]) -> None:
        """Gradients of weights are sums over the steps."""
        for name, gradient in gradients.items():
            self.found[prefix + name] = self.found[prefix + name] + gradient

    def write_step_backward(self, step: Step, d: Values) -> tuple[Any, Values]:
        """The gradient of x, and of the values before the write."""
        d_memory, d_entry_BW = write_backward(step.write_BN, d.memory)
        d_slots: Any = 0
        if self.compares:
            d_slots, d_shown_BQ = write_backward(step.write_BN, d.slots)
            self.add_keys((d.slots - d_slots).sum(0))
            d_from_slots, d_weight, _ = linear_backward(step.entry_BW, self.addressing.from_memory.weight, d_shown_BQ)
            self.add("memory.addressing.", {"from_memory.weight": d_weight})
            d_entry_BW = d_entry_BW + d_from_slots
        d_stored = d_entry_BW
        if isinstance(self.cell.entry.linear, torch.nn.Linear):
            d_stored, d_weight, d_bias = linear_backward(step.stored, self.cell.entry.linear.weight, d_entry_BW)
            self.add("entry.linear.", {"weight": d_weight, "bias": d_bias})
        d_x, d_h = d_stored[:, : -d.h.shape[-1]], d_stored[:, -d.h.shape[-1] :]
        return d_x if d_x.shape[-1] else 0, d._replace(h=d.h + d_h, memory=d_memory, slots=d_slots)

    def add_keys(self, d_shown_NQ: Tensor) -> None:
        """Of ``W_k key``."""
        d_keys, d_weight, _ = linear_backward(self.addressing.keys, self.addressing.from_key.weight, d_shown_NQ)
        self.add("memory.addressing.", {"keys": d_keys, "from_key.weight": d_weight})

    def control_backward(self, step: Step, d_output: Tensor, d: Values) -> tuple[Tensor, Tensor, Values]:
        """The gradients of x and r, and of the values before the controller."""
        zoned_h, zoned_c = step.masks
        armin = isinstance(self.controller, ARMINCell)
        d_h = d.h if armin else d.h + d_output
        d_new_h, d_new_c = zoned_h * d_h, zoned_c * d.c
        if armin:
            d_x, d_r, d_before_h, found = armin_step_backward(self.controller, step.controller, d_output, d_new_h)
            d_before_c: Any = 0
        else:
            d_x, d_r, d_before_h, d_before_c, found = tardis_step_backward(
                self.controller, step.controller, d_new_h, d_new_c
            )
        self.add("controller." if self.zoneout is None else "controller.controller.", found)
        return d_x, d_r, d._replace(h=d_before_h + (1 - zoned_h) * d_h, c=d_before_c + (1 - zoned_c) * d.c)

    def look_backward(self, step: Step, d_r: Tensor, d: Values) -> tuple[Tensor, Values]:
        """The gradient of x, and of the values before the reading."""
        width = self.memory.width
        d_memory, d_weights_BN = read_backward(step.before.memory, step.weights_BN, d_r[:, -width:])
        d_weights_BN = d_weights_BN + d.read_weights + d.usage
        if self.memory.read_keys:
            d_weights_BN = d_weights_BN + d_r[:, :-width] @ self.addressing.keys.mT
            self.add("memory.addressing.", {"keys": step.weights_BN.mT @ d_r[:, :-width]})
        d_common = choice_backward(step.soft_BN, d_weights_BN, self.addressing.temperature)
        d_slots: Any = 0
        d_last_read: Any = torch.zeros_like(d_weights_BN)
        if step.comparison is not None:
            d_common, d_slots, d_last_read, found = compare_backward(self.addressing, step.comparison, d_common)
            self.add("memory.addressing.", found)
        d_asks, d_weight, d_bias = linear_backward(step.asks, self.ask_weight(), d_common)
        seen = self.cell.address.linear.in_features
        self.add("address.linear.", {"weight": d_weight[:, :seen], "bias": d_bias})
        d_x, d_feature, d_unit = d_asks.tensor_split([self.cell.input_size, seen], dim=-1)
        d_usage: Any = 0
        if self.compares:
            self.add("memory.addressing.", {"from_usage.weight": d_weight[:, seen:]})
            d_usage = d.usage + unit_backward(step.before.usage, d_unit)
        feature = self.cell.address.sources[1]
        d = d._replace(**{feature: getattr(d, feature) + d_feature})
        return d_x, d._replace(
            memory=d.memory + d_memory, slots=d.slots + d_slots, read_weights=d_last_read, usage=d_usage
        )

    def start_backward(self, d: Values) -> Values:
        """Of `start`."""
        if not self.compares:
            return d
        self.add_keys(d.slots.sum(0))
        weight = self.addressing.from_memory.weight
        d_weight = torch.einsum("bnq,bnw->qw", d.slots, self.first.memory)
        self.add("memory.addressing.", {"from_memory.weight": d_weight})
        return d._replace(memory=d.memory + d.slots @ weight)
