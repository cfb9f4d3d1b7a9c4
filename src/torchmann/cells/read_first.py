"""A controller that sees at once what it reads: a step reads, then controls, then writes.

Shapes: B batch, I input, O output, S interface.
Sources: Gulcehre, Chandar, Bengio 2017, "Memory augmented neural networks with wormhole connections"; "ARMIN: Towards a
more efficient and light-weight recurrent memory network".
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from torchmann.cells.linear_maps import HalfInterface, Readout
from torchmann.cells.memory_cell import MemoryAugmentedState, MemoryCell
from torchmann.core.cell import Controller
from torchmann.core.errors import OptionError
from torchmann.core.precision import without_autocast
from torchmann.core.recorder import record
from torchmann.memories.memory import Memory
from torchmann.memories.writing import WritingPolicy


class ReadFirstCell(MemoryCell):
    """A memory read before the controller's step, by its state of before, and written after it::

        reads, memory state = memory.only_read(address(x, state of the controller))
        h, controller state = controller([x ; reads])
        memory state = memory.only_write(entry(h, controller state))
        y = readout(h, reads)

    A step that does not read shows the controller what was read last.

    Args:
        controller: a `Controller`; it takes ``input_size + memory.read_size`` features (with feedback).
        memory: a `Memory` whose step has halves.
        writing: at which steps the memory is used: a policy or its text form (`policy_from`); None is every step.
        readout: what makes the output; None is a `LinearReadout` to `output_size`.
        address: module ``features -> [B, S]`` for reading, features being a mapping with the input ``"x"`` and the
            `Controller.features` of before; None is a `HalfInterface` on ``"x"`` and ``"h"``.
        entry: module ``features -> [B, S]`` for writing, features being a mapping with ``"x"``, the controller's
            ``"output"`` and its `Controller.features`; None is a `HalfInterface` on ``"h"``, and h itself where the
            memory takes as many numbers.
        feedback: show the reads to the controller.
        bypass_dropout: probability with which the readout does not see an output of the controller, in training; the
            way through the memory is not concerned.
        output_size: O of the default readout; None is the controller's output size.

    Raises:
        OptionError: a memory whose step has no halves, the controller takes too few features for the reads,
            `output_size` contradicts `readout`, or the controller or the memory cannot do what `writing` asks.
    """

    def __init__(
        self,
        controller: Controller,
        memory: Memory,
        *,
        writing: WritingPolicy | str | None = None,
        readout: Readout | None = None,
        address: nn.Module | None = None,
        entry: nn.Module | None = None,
        feedback: bool = True,
        bypass_dropout: float = 0.0,
        output_size: int | None = None,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        if not (memory.has_half("only_read") and memory.has_half("only_write")):
            raise OptionError(
                f"the step of {type(memory).__name__} has no halves, so it cannot be read first and written later: "
                "use a MemoryAugmentedCell."
            )
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
        at: dict[str, Any] = {"device": device, "dtype": dtype}
        sizes = {"x": self.input_size, **controller.feature_sizes}
        self.address = HalfInterface("only_read", memory, sizes, ["x", "h"], **at) if address is None else address
        if entry is None:
            mapped = sizes["h"] != len(memory.columns("only_write"))
            entry = HalfInterface("only_write", memory, sizes, ["h"], mapped=mapped, **at)
        self.entry = entry

    @property
    def looks_back(self) -> bool:
        """A step reads by the last hidden vector, even where the controller does not look at it."""
        return self.controller.recurrent or len(self.memory.columns("only_read")) > 0

    def forward(self, x: Tensor, state: MemoryAugmentedState, noise: Any = None) -> tuple[Tensor, MemoryAugmentedState]:
        """A complete step: read, control, write."""
        return self.hold_read(x, self.look(x, state, noise), noise)

    def hold_write(
        self, x: Tensor, state: MemoryAugmentedState, noise: Any = None
    ) -> tuple[Tensor, MemoryAugmentedState]:
        """A step that reads and controls."""
        return self.hold(x, self.look(x, state, noise), noise)

    def hold_read(
        self, x: Tensor, state: MemoryAugmentedState, noise: Any = None
    ) -> tuple[Tensor, MemoryAugmentedState]:
        """A step that controls, by what was read last, and writes."""
        h, controller = self.control(x, state, noise)
        features = {"x": x, "output": h, **self.controller.features(controller)}
        interface_BS = self.entry(features).type_as(state.reads)
        with without_autocast(x.device.type):
            _, memory = self.memory.only_write(interface_BS, state.memory, None if noise is None else noise.memory)
        record(self, "reads", state.reads)
        output = self.readout(self.bypass(h, noise), state.reads)
        return output, state._replace(controller=controller, memory=memory)

    def look(self, x: Tensor, state: MemoryAugmentedState, noise: Any) -> MemoryAugmentedState:
        """The state with new reads, before the controller's step."""
        features = {"x": x, **self.controller.features(state.controller)}
        interface_BS = self.address(features).type_as(state.reads)
        with without_autocast(x.device.type):
            reads, memory = self.memory.only_read(interface_BS, state.memory, None if noise is None else noise.memory)
        return state._replace(reads=reads, memory=memory)
