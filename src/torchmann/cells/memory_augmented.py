"""A controller with an external memory: the composition that most memory-augmented networks are.

Shapes: B batch, I input, O output, S interface.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from torchmann.cells.linear_maps import LinearInterface, Readout
from torchmann.cells.memory_cell import MemoryAugmentedNoise, MemoryAugmentedState, MemoryCell
from torchmann.core.cell import Controller
from torchmann.core.precision import without_autocast
from torchmann.core.recorder import record
from torchmann.memories.memory import Memory
from torchmann.memories.writing import WritingPolicy

__all__ = ["MemoryAugmentedCell", "MemoryAugmentedNoise", "MemoryAugmentedState"]

MemoryUse = Callable[[Tensor, Any, Any], tuple[Tensor | None, Any]]
"""What a step does with the memory: ``(interface, state, noise) -> (reads or None, state)``."""


class MemoryAugmentedCell(MemoryCell):
    """A controller that writes to and reads from a memory at each step, and sees what it read at the next::

        h, controller state = controller([x ; reads of the step before])
        reads, memory state = memory(interface(h))
        y = readout(h, reads)

    Args:
        controller: a `Controller`; it takes ``input_size + memory.read_size`` features (with feedback).
        memory: any `Memory`.
        writing: at which steps the memory is used: a policy or its text form (`policy_from`); None is every step.
        readout: what makes the output; None is a `LinearReadout` to `output_size`.
        interface: module ``features -> [B, S]``, features being a mapping with the controller's ``"output"`` and
            its `Controller.features`; None is a `LinearInterface`.
        feedback: show the reads to the controller at the next step.
        bypass_dropout: probability with which the readout does not see an output of the controller, in training; the
            way through the memory is not concerned.
        output_size: O of the default readout; None is the controller's output size.

    Raises:
        OptionError: the controller takes too few features for the reads, `output_size` contradicts `readout`, or
            the controller or the memory cannot do what `writing` asks.
    """

    def __init__(
        self,
        controller: Controller,
        memory: Memory,
        *,
        writing: WritingPolicy | str | None = None,
        readout: Readout | None = None,
        interface: nn.Module | None = None,
        feedback: bool = True,
        bypass_dropout: float = 0.0,
        output_size: int | None = None,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            controller,
            memory,
            writing=writing,
            readout=readout,
            feedback=feedback,
            bypass_dropout=bypass_dropout,
            output_size=output_size,
            device=device,
            dtype=dtype,
        )
        if interface is None:
            interface = LinearInterface(controller, memory, device=device, dtype=dtype)
        self.interface = interface

    def forward(self, x: Tensor, state: MemoryAugmentedState, noise: Any = None) -> tuple[Tensor, MemoryAugmentedState]:
        """A complete step: control, write, read."""
        return self.step(x, state, noise, use=self.memory)

    def hold_write(
        self, x: Tensor, state: MemoryAugmentedState, noise: Any = None
    ) -> tuple[Tensor, MemoryAugmentedState]:
        """A step that reads and does not write."""
        return self.step(x, state, noise, use=self.memory.only_read)

    def hold_read(
        self, x: Tensor, state: MemoryAugmentedState, noise: Any = None
    ) -> tuple[Tensor, MemoryAugmentedState]:
        """A step that writes and does not read: the last reads stay."""
        return self.step(x, state, noise, use=self.memory.only_write)

    def step(
        self, x: Tensor, state: MemoryAugmentedState, noise: Any, *, use: MemoryUse
    ) -> tuple[Tensor, MemoryAugmentedState]:
        """A step of the controller and of what `use` does with the memory."""
        h, controller = self.control(x, state, noise)
        interface_BS = self.interface({"output": h, **self.controller.features(controller)})
        with without_autocast(x.device.type):
            drawn = None if noise is None else noise.memory
            reads, memory = use(interface_BS.type_as(state.reads), state.memory, drawn)
        reads = state.reads if reads is None else reads
        record(self, "reads", reads)
        new = state._replace(controller=controller, memory=memory, reads=reads)
        return self.readout(self.bypass(h, noise), reads), new
