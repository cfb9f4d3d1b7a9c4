"""The neural Turing machine.

Source: Graves, Wayne, Danihelka 2014, "Neural Turing Machines".
"""

from __future__ import annotations

from typing import Any, Literal

import torch

from torchmann.cells import LinearInterface, LinearReadout, MemoryAugmentedCell
from torchmann.core.start import StartKind
from torchmann.engines import Recurrent
from torchmann.memories import NTMMemory, WritingPolicy
from torchmann.models.contract import refuses_lstm_arguments
from torchmann.models.controllers import make_controller
from torchmann.models.presets import takes_presets


class NTM(Recurrent):
    """A controller whose heads address a memory by content and by location, called like `torch.nn.LSTM`.

    Args:
        input_size: features of an input step.
        hidden_size: width of the controller.
        slots: number of memory slots.
        width: width of a slot.
        reads: number of read heads.
        writes: number of write heads.
        output_size: features of an output step; None is `hidden_size`.
        preset: whose choices the defaults are (`torchmann.models.preset_table`); keywords go before it.
        controller: ``"lstm"``, ``"skip_lstm"``, ``"layernorm_lstm"``, ``"gru"``, ``"rnn"``, ``"feedforward"``,
            ``"armin"`` or ``"tardis"``.
        layers: of the controller.
        initial_controller: where the controller's state starts: ``"constant"`` 0, ``"learned"``, ``"tanh"`` of learned.
        writing: when the memory is used: a policy, ``"every"`` step, ``"uniform:L"``, ``"cached:L"``, ``"random:P"``.
        head_input: what the heads see: ``"output"`` of the controller, or a feature such as ``"c"``.
        shift_range: furthest shift of a head in one step.
        order: ``"read_first"``, ``"write_first"`` or ``"interleaved"``.
        erase: ``"separate"`` erase vectors, or ``"coupled"``: ``M = w a + (1 - w) M``.
        key_activation: of keys and add vectors, ``"none"`` or ``"tanh"``.
        similarity: ``"cosine"``, ``"cosine_clamped"``, ``"cosine_outside"``, ``"cosine_product"`` or
            ``"cosine_per_width"``, a defect of released code.
        epsilon: of the similarity; None is that similarity's own.
        sharpening_epsilon: added to the normaliser of the sharpening; released code has 1e-16.
        initial_memory: ``"tanh"``, ``"sigmoid"``, ``"learned"``, ``"constant"`` (1e-6) or ``"random"``.
        initial_weights: ``"softmax"`` of a learned vector by which heads start at the first row, or ``"constant"`` 0.
        initial_reads: ``"constant"`` 0, ``"learned"``, ``"tanh"`` or ``"random"``.
        output_reads: show the reads to the output, not only to the controller at the next step.
        clip: limit of an LSTM controller's state and of the output; None: no limit.
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
        reads: int = 1,
        writes: int = 1,
        output_size: int | None = None,
        preset: str = "recommended",
        controller: str = "lstm",
        layers: int = 1,
        initial_controller: StartKind = "constant",
        writing: WritingPolicy | str | None = None,
        head_input: str = "output",
        shift_range: int = 1,
        order: Literal["read_first", "write_first", "interleaved"] = "read_first",
        erase: Literal["separate", "coupled"] = "separate",
        key_activation: str = "none",
        similarity: str = "cosine",
        epsilon: float | None = None,
        sharpening_epsilon: float = 0.0,
        initial_memory: StartKind = "tanh",
        initial_weights: StartKind = "softmax",
        initial_reads: StartKind = "constant",
        output_reads: bool = True,
        clip: float | None = None,
        batch_first: bool = False,
        engine: str = "auto",
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        at: dict[str, Any] = {"device": device, "dtype": dtype}
        memory = NTMMemory(
            slots,
            width,
            reads=reads,
            writes=writes,
            shift_range=shift_range,
            order=order,
            erase=erase,
            key_activation=key_activation,
            similarity=similarity,
            epsilon=epsilon,
            sharpening_epsilon=sharpening_epsilon,
            initial_memory=initial_memory,
            initial_weights=initial_weights,
            initial_reads=initial_reads,
            **at,
        )
        driver = make_controller(
            controller,
            input_size + memory.read_size,
            hidden_size,
            layers=layers,
            read_size=memory.read_size,
            clip=clip,
            initial=initial_controller,
            **at,
        )
        outputs = hidden_size if output_size is None else output_size
        shown = memory.read_size if output_reads else 0
        cell = MemoryAugmentedCell(
            driver,
            memory,
            writing=writing,
            interface=LinearInterface(driver, memory, source=head_input, **at),
            readout=LinearReadout(driver.output_size, shown, outputs, clip=clip, **at),
            **at,
        )
        super().__init__(cell, batch_first=batch_first, engine=engine)
