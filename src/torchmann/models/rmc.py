"""The relational memory core.

Source: Santoro et al. 2018, "Relational recurrent neural networks".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch

from torchmann.cells import MemoryAugmentedCell, PassThrough, ReadsReadout
from torchmann.engines import Recurrent
from torchmann.memories import RelationalMemory, WritingPolicy
from torchmann.models.contract import refuses_lstm_arguments
from torchmann.models.presets import takes_presets


class RMC(Recurrent):
    """Slots that attend to each other and to the input at every step; the memory is the hidden state.

    Args:
        input_size: features of an input step.
        slots: number of memory slots.
        width: width of a slot: heads times head size.
        heads: number of attention heads.
        output_size: features of an output step; None: no output layer, the output is the memory, slot after slot.
        preset: whose choices the defaults are (`torchmann.models.preset_table`); keywords go before it.
        key_size: of a head's queries and keys; None is the head size.
        attention_blocks: rounds of attention in one step.
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
        writing: when the memory is used: a policy, ``"every"`` step, ``"uniform:L"``, ``"random:P"``.
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
        *,
        slots: int,
        width: int,
        heads: int = 4,
        output_size: int | None = None,
        preset: str = "recommended",
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
        memory = RelationalMemory(
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
        cell = MemoryAugmentedCell(
            PassThrough(input_size, **at),
            memory,
            writing=writing,
            readout=ReadsReadout(memory.read_size, output_size, layers=output_layers, **at),
            feedback=False,
            **at,
        )
        super().__init__(cell, batch_first=batch_first, engine=engine)
