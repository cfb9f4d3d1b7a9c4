"""Light-weight inference: a memory of slots as slots, read by one look-up and written by one replacement.

Where a step reads exactly one slot, no work but the choice of that slot has to grow with their number. So this engine
keeps the slots in a buffer of its own, which it changes in place, where the reference multiplies all of them by a
one-hot weighting. Results are those of evaluation; there are no gradients.

Shapes: T time, B batch, I input, O output, N slots, W width.
Source: "ARMIN: Towards a more efficient and light-weight recurrent memory network", section 5.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import torch
from torch import Tensor

from torchmann.cells.linear_maps import HalfInterface
from torchmann.cells.memory_cell import MemoryAugmentedState
from torchmann.cells.read_first import ReadFirstCell
from torchmann.core.cell import DENSE, Cell
from torchmann.core.errors import OptionError
from torchmann.core.precision import without_autocast
from torchmann.core.recorder import Recorder
from torchmann.core.state import Tree, where_rows
from torchmann.engines import eager
from torchmann.memories import SlotHistory, SlotHistoryState
from torchmann.memories.writing import HOLD, HOLD_READ, HOLD_WRITE

READING, WRITING = (DENSE, HOLD_WRITE), (DENSE, HOLD_READ)


class LightweightStepper:
    """Steps a cell in evaluation, one slot at a time, with buffers of its own.

    Example::

        stepper = LightweightStepper(model.cell, model.initial_state(1))
        for x in stream:                      # x: [1, I]
            y = stepper(x)                    # [1, O], as model.step would give it in evaluation

    Args:
        cell: a `ReadFirstCell` around a `SlotHistory` that draws one slot (ARMIN, AwTA, TARDIS).
        state: to start from; it is copied, not changed.
        start: absolute number of the first step, which the cell's writing policy goes by.

    Raises:
        OptionError: another cell, or a memory that reads all of its slots, weighted.
    """

    def __init__(self, cell: Cell, state: MemoryAugmentedState, *, start: int = 0) -> None:
        self.cell, self.memory = runnable(cell)
        self.time = start
        self.load(state)

    def load(self, state: MemoryAugmentedState) -> None:
        """Go on from `state`."""
        memory: SlotHistoryState = state.memory
        self.controller, self.reads, self.filled_B = state.controller, state.reads, memory.filled
        self.slots_BNW = memory.memory.detach().clone(memory_format=torch.contiguous_format)
        self.weights_BN = memory.read_weights.squeeze(1).detach().clone()
        self.usage_BN = memory.usage.detach().clone() if self.memory.addressing.counts_reads else ()
        self.rows_B = torch.arange(len(self.reads), device=self.reads.device)
        self.last_B = self.weights_BN.argmax(-1)  # where the last reading was; meaningless before the first

    @property
    def state(self) -> MemoryAugmentedState:
        """The state now, as the reference has it; a copy."""
        usage = self.usage_BN.clone() if isinstance(self.usage_BN, Tensor) else ()
        memory = SlotHistoryState(self.slots_BNW.clone(), self.weights_BN.clone().unsqueeze(1), self.filled_B, usage)
        return MemoryAugmentedState(self.controller, memory, self.reads)

    @torch.no_grad()
    def __call__(self, x_BI: Tensor, *, kind: Hashable = None, running_B: Tensor | None = None) -> Tensor:
        """One step.

        Args:
            x_BI: the input.
            kind: of the step; None is what the cell's writing policy says.
            running_B: bool; rows where it is False stay as they are. None: all run.

        Returns:
            The output ``[B, O]``.
        """
        kind = self.cell.schedule(1, self.time)[0] if kind is None else kind
        if kind not in (DENSE, HOLD, HOLD_WRITE, HOLD_READ):
            raise OptionError(f"light-weight inference has no step {kind!r}: run cached writing with engine='eager'.")
        self.time += 1
        before = self.controller, self.reads
        if kind in READING:
            self._read(x_BI, running_B)
        h, controller = self.cell.control(x_BI, self._shown(), None)
        if kind in WRITING:
            self._write({"x": x_BI, "output": h, **self.cell.controller.features(controller)}, running_B)
        output_BO = self.cell.readout(h, self.reads)
        self.controller = controller
        if running_B is not None:
            self.controller, self.reads = where_rows(running_B, (controller, self.reads), before)
        return output_BO

    def _shown(self) -> MemoryAugmentedState:
        """As much of a state as the controller's step looks at."""
        return MemoryAugmentedState(self.controller, (), self.reads)

    def _read(self, x_BI: Tensor, running_B: Tensor | None) -> None:
        """``r = M[arg max of the logits]``, and the book-keeping of what was read."""
        features = {"x": x_BI, **self.cell.controller.features(self.controller)}
        address_BA = self.cell.address.part(features).type_as(self.reads)
        with without_autocast(x_BI.device.type):
            seen = SlotHistoryState(self.slots_BNW, self.weights_BN.unsqueeze(1), self.filled_B, self.usage_BN)
            slot_B = self.memory.addressing.logits(address_BA, seen).argmax(-1)
        one_B = self.weights_BN.new_ones(len(slot_B))
        if running_B is not None:
            slot_B, one_B = torch.where(running_B, slot_B, self.last_B), running_B.type_as(self.weights_BN)
            kept_B = self.weights_BN[self.rows_B, self.last_B]
        self.weights_BN[self.rows_B, self.last_B] = 0.0
        self.weights_BN[self.rows_B, slot_B] = one_B if running_B is None else torch.where(running_B, one_B, kept_B)
        if isinstance(self.usage_BN, Tensor):
            self.usage_BN[self.rows_B, slot_B] += one_B
        self.last_B = slot_B
        self.reads = self.slots_BNW[self.rows_B, slot_B]

    def _write(self, features: dict[str, Tensor], running_B: Tensor | None) -> None:
        """Fill the next empty slot; if there is none, replace the one read last."""
        entry_BW = self.cell.entry.part(features).type_as(self.slots_BNW)
        full_B = self.filled_B >= self.memory.slots
        slot_B = torch.where(full_B, self.last_B, self.filled_B.clamp(max=self.memory.slots - 1))
        filled_B = (self.filled_B + 1).clamp(max=self.memory.slots)
        if running_B is not None:
            entry_BW = torch.where(running_B.unsqueeze(-1), entry_BW, self.slots_BNW[self.rows_B, slot_B])
            filled_B = torch.where(running_B, filled_B, self.filled_B)
        self.slots_BNW[self.rows_B, slot_B] = entry_BW
        self.filled_B = filled_B


def runnable(cell: Cell) -> tuple[Any, Any]:
    """The cell and its memory, if light-weight inference can run them.

    Raises:
        OptionError: it cannot; says what it needs.
    """
    memory = getattr(cell, "memory", None)
    if not isinstance(cell, ReadFirstCell) or not isinstance(memory, SlotHistory):
        raise OptionError(
            f"light-weight inference runs a ReadFirstCell with a SlotHistory (ARMIN, AwTA, TARDIS), got a "
            f"{type(cell).__name__}: use engine='eager'."
        )
    if not memory.addressing.noisy:
        raise OptionError("light-weight inference needs one slot a step: use sampling='gumbel', or engine='eager'.")
    if not (isinstance(cell.address, HalfInterface) and isinstance(cell.entry, HalfInterface)):
        raise OptionError("light-weight inference needs a HalfInterface as address and entry: use engine='eager'.")
    return cell, memory


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
        OptionError: a gradient or noise is asked for, or the cell is none that it can run.
    """
    runnable(cell)
    if noise is not None:
        raise OptionError("light-weight inference draws nothing: call model.eval(), or use engine='eager'.")
    wanted = inputs_TBI.requires_grad or any(parameter.requires_grad for parameter in cell.parameters())
    if torch.is_grad_enabled() and wanted:
        raise OptionError(
            "light-weight inference gives no gradients: call it under torch.no_grad(), or use engine='eager'."
        )
    arguments: dict[str, Any] = {"schedule": schedule, "lengths_B": lengths_B, "reset_TB": reset_TB}
    if Recorder.listening():
        return eager.unroll(cell, inputs_TBI, state, **arguments)
    stepper = LightweightStepper(cell, state)
    running_TB = None
    if lengths_B is not None:
        running_TB = (torch.arange(len(schedule)).unsqueeze(1) < lengths_B).to(inputs_TBI.device)
    initial = None if reset_TB is None else cell.initial_state(inputs_TBI.shape[1])
    resets = [] if reset_TB is None else reset_TB.any(dim=1).tolist()

    outputs = []
    for t, (kind, x_BI) in enumerate(zip(schedule, inputs_TBI.unbind(0), strict=True)):
        if reset_TB is not None and resets[t]:
            stepper.load(where_rows(reset_TB[t], initial, stepper.state))
        running_B = None if running_TB is None else running_TB[t]
        y_BO = stepper(x_BI, kind=kind, running_B=running_B)
        outputs.append(y_BO if running_B is None else torch.where(running_B.unsqueeze(-1), y_BO, 0))
    return torch.stack(outputs), stepper.state
