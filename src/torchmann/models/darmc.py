"""The distributed relational memory core.

Source: "Distributed associative memory network with memory refreshing loss".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch

from torchmann.cells import MemoryAugmentedCell, ReadsReadout
from torchmann.engines import Recurrent
from torchmann.memories import Distributed, RelationalMemory, WritingPolicy
from torchmann.models.contract import refuses_lstm_arguments
from torchmann.models.controllers import make_controller
from torchmann.models.presets import takes_presets


class DARMC(Recurrent):
    """DARMC-K: K relational memory cores behind a feed-forward controller, their memories mixed by an attentive gate.

    Args:
        input_size: features of an input step.
        hidden_size: width of the controller; None is `width`.
        slots: number of slots of each block.
        width: width of a slot: heads times head size.
        blocks: K, number of memories.
        heads: number of attention heads of each block.
        output_size: features of an output step; None: no output layer, the output is the mixed memory.
        preset: whose choices the defaults are (`torchmann.models.preset_table`); keywords go before it.
        controller: ``"feedforward"``, ``"lstm"``, ``"layernorm_lstm"``, ``"gru"`` or ``"rnn"``.
        layers: of the controller.
        key_size: of a head's queries and keys; None is the head size.
        attention_blocks: rounds of attention in one step of a block.
        mlp_layers: of the MLP that every slot goes through after each round.
        gate_style: gates for every ``"unit"``, for every slot of the ``"memory"``, or ``"none"``.
        forget_bias: added to the forget gates.
        input_bias: added to the input gates.
        trained_gate_biases: learn these two numbers.
        norm: layer normalisation of every ``"row"``, or of all rows ``"joint"``, with a gain for each entry.
        tied_mlp: the layers of the MLP are one and the same.
        mlp_output: activation after the last layer of the MLP, such as ``"none"`` or ``"relu"``.
        tied_blocks: the rounds of attention are one and the same.
        output_layers: widths of ReLU layers before the output.
        writing: when the memory is used: a policy, ``"every"`` step, ``"uniform:L"``, ``"cached:L"``, ``"random:P"``.
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
        hidden_size: int | None = None,
        *,
        slots: int,
        width: int,
        blocks: int = 2,
        heads: int = 4,
        output_size: int | None = None,
        preset: str = "recommended",
        controller: str = "feedforward",
        layers: int = 1,
        key_size: int | None = None,
        attention_blocks: int = 1,
        mlp_layers: int = 2,
        gate_style: Literal["unit", "memory", "none"] = "unit",
        forget_bias: float = 1.0,
        input_bias: float = 0.0,
        trained_gate_biases: bool = False,
        norm: Literal["row", "joint"] = "row",
        tied_mlp: bool = False,
        mlp_output: str = "none",
        tied_blocks: bool = False,
        output_layers: Sequence[int] = (),
        writing: WritingPolicy | str | None = None,
        batch_first: bool = False,
        engine: str = "auto",
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        at: dict[str, Any] = {"device": device, "dtype": dtype}

        def block() -> RelationalMemory:
            return RelationalMemory(
                slots,
                width,
                heads=heads,
                key_size=key_size,
                attention_blocks=attention_blocks,
                mlp_layers=mlp_layers,
                gate_style=gate_style,
                forget_bias=forget_bias,
                input_bias=input_bias,
                trained_gate_biases=trained_gate_biases,
                norm=norm,
                tied_mlp=tied_mlp,
                mlp_output=mlp_output,
                tied_blocks=tied_blocks,
                **at,
            )

        memory = Distributed(block, blocks)
        hidden = width if hidden_size is None else hidden_size
        driver = make_controller(controller, input_size, hidden, layers=layers, clip=None, initial="constant", **at)
        cell = MemoryAugmentedCell(
            driver,
            memory,
            writing=writing,
            readout=ReadsReadout(memory.read_size, output_size, layers=output_layers, **at),
            feedback=False,
            **at,
        )
        super().__init__(cell, batch_first=batch_first, engine=engine)
