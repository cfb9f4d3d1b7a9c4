"""The distributed associative memory.

Source: "Distributed associative memory network with memory refreshing loss".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch

from torchmann.cells import LinearInterface, LinearReadout, MemoryAugmentedCell, Normalised
from torchmann.engines import Recurrent
from torchmann.memories import Distributed, DNCMemory, WritingPolicy
from torchmann.models.contract import refuses_lstm_arguments
from torchmann.models.controllers import make_controller
from torchmann.models.presets import takes_presets


class DAM(Recurrent):
    """DAM-K: K content-addressed DNC memories written and read at once, their reads mixed by an attentive gate.

    Args:
        input_size: features of an input step.
        hidden_size: width of the controller.
        slots: number of slots of each block.
        width: width of a slot.
        blocks: K, number of memories.
        reads: number of read heads of each block.
        output_size: features of an output step; None is `hidden_size`.
        preset: whose choices the defaults are (`torchmann.models.preset_table`); keywords go before it.
        allocation: ``"sorted"`` by usage, or differentiable ``"softmax"``.
        links: give the blocks temporal links, which the published model does without.
        controller: ``"lstm"``, ``"skip_lstm"``, ``"layernorm_lstm"``, ``"gru"``, ``"rnn"``, ``"feedforward"``,
            ``"armin"`` or ``"tardis"``.
        layers: of the controller.
        output_layers: widths of ReLU layers before the output.
        writing: when the memory is used: a policy, ``"every"`` step, ``"uniform:L"``, ``"cached:L"``, ``"random:P"``.
        bypass_dropout: probability with which the output does not see a unit of the controller, in training.
        gated_retention: blocks keep their read weightings multiplied by the gate.
        strength: activation of the strengths, ``"oneplus"`` or ``"softplus"``.
        clip: limit of the output and of an LSTM controller's state; None: no limit.
        batch_first: input and output are ``[batch, time, features]``.
        engine: how the cell is unrolled.
        device: of the parameters.
        dtype: of the parameters.
    """

    @takes_presets
    @refuses_lstm_arguments
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        slots: int,
        width: int,
        blocks: int = 2,
        reads: int = 1,
        output_size: int | None = None,
        preset: str = "recommended",
        allocation: Literal["sorted", "softmax"] = "sorted",
        links: bool = False,
        controller: str = "lstm",
        layers: int = 1,
        output_layers: Sequence[int] = (),
        writing: WritingPolicy | str | None = None,
        bypass_dropout: float = 0.1,
        gated_retention: bool = False,
        strength: str = "oneplus",
        clip: float | None = 20.0,
        batch_first: bool = False,
        engine: str = "auto",
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        at: dict[str, Any] = {"device": device, "dtype": dtype}

        def block() -> DNCMemory:
            return DNCMemory(slots, width, reads=reads, links=links, allocation=allocation, strength=strength, **at)

        memory = Distributed(block, blocks, gated_retention=gated_retention)
        inputs = input_size + memory.read_size
        options: dict[str, Any] = {"layers": layers, "read_size": memory.read_size, "clip": clip, "initial": "constant"}
        driver = make_controller(controller, inputs, hidden_size, **options, **at)
        normalised = Normalised(driver, **at)
        outputs = hidden_size if output_size is None else output_size
        cell = MemoryAugmentedCell(
            normalised,
            memory,
            writing=writing,
            interface=LinearInterface(normalised, memory, **at),
            readout=LinearReadout(driver.output_size, memory.read_size, outputs, layers=output_layers, clip=clip, **at),
            bypass_dropout=bypass_dropout,
            **at,
        )
        super().__init__(cell, batch_first=batch_first, engine=engine)
