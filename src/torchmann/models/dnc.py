"""The differentiable neural computer.

Source: Graves et al. 2016, "Hybrid computing using a neural network with dynamic external memory".
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import nn

from torchmann.cells import LinearInterface, LinearReadout, MemoryAugmentedCell
from torchmann.core.errors import unknown_name
from torchmann.core.start import StartKind
from torchmann.engines import Recurrent
from torchmann.memories import DNCMemory, WritingPolicy
from torchmann.models.contract import refuses_lstm_arguments
from torchmann.models.controllers import make_controller
from torchmann.models.presets import takes_presets


class DNC(Recurrent):
    """A controller with content look-up, dynamic allocation and temporal links, called like `torch.nn.LSTM`.

    Args:
        input_size: features of an input step.
        hidden_size: width of the controller.
        slots: number of memory slots.
        width: width of a slot.
        reads: number of read heads.
        writes: number of write heads.
        output_size: features of an output step; None is `hidden_size`.
        preset: whose choices the defaults are (`torchmann.models.preset_table`); keywords go before it.
        links: keep temporal links; without them reads are by content only.
        allocation: ``"sorted"`` by usage, or differentiable ``"softmax"`` (DMA).
        controller: ``"lstm"``, ``"skip_lstm"``, ``"layernorm_lstm"``, ``"gru"``, ``"rnn"``, ``"feedforward"``,
            ``"armin"`` or ``"tardis"``.
        layers: of the controller.
        initial_controller: where the controller's state starts: ``"constant"`` 0, ``"learned"``, ``"tanh"`` of learned.
        writing: when the memory is used: a policy, ``"every"`` step, ``"uniform:L"``, ``"cached:L"``, ``"random:P"``.
        clip: limit of the output; None: no limit.
        clip_controller: limit of an LSTM controller's state; None: no limit.
        clip_interface: limit of the interface vector; None: no limit.
        bias: of the maps to the interface and to the output.
        init: start of the weights: ``"xavier"``, or ``"normal"`` with standard deviation 0.1 (biases zero).
        strength: activation of the strengths, ``"oneplus"`` or ``"softplus"``.
        key_activation: of keys and write vectors, ``"none"`` or ``"tanh"``.
        similarity: ``"cosine"``, ``"cosine_clamped"``, ``"cosine_outside"``, ``"cosine_product"`` or
            ``"cosine_per_width"``, a defect of released code.
        epsilon: of the similarity; None is that similarity's own.
        usage_floor: lowest usage that the allocation sees.
        usage_gradient: let the gradient pass from usage into the previous write weighting.
        read_mode_softmax: over ``"modes"``; ``"heads"`` is a defect of released code.
        initial_memory: ``"constant"`` at `initial_value`, ``"learned"`` or ``"random"``; None is constant with sorted
            allocation and random with softmax, which keeps slots that start alike alike.
        initial_value: constant at which memory, weightings and reads start.
        initial_reads: how the reads start: ``"constant"`` or ``"learned"``, from `initial_value`.
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
        links: bool = True,
        allocation: Literal["sorted", "softmax"] = "sorted",
        controller: str = "lstm",
        layers: int = 1,
        initial_controller: StartKind = "constant",
        writing: WritingPolicy | str | None = None,
        clip: float | None = 20.0,
        clip_controller: float | None = 20.0,
        clip_interface: float | None = None,
        bias: bool = True,
        init: Literal["xavier", "normal"] = "xavier",
        strength: str = "oneplus",
        key_activation: str = "none",
        similarity: str = "cosine",
        epsilon: float | None = None,
        usage_floor: float = 1e-6,
        usage_gradient: bool = False,
        read_mode_softmax: Literal["modes", "heads"] = "modes",
        initial_memory: StartKind | None = None,
        initial_value: float = 0.0,
        initial_reads: StartKind = "constant",
        batch_first: bool = False,
        engine: str = "auto",
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        at: dict[str, Any] = {"device": device, "dtype": dtype}
        memory = DNCMemory(
            slots,
            width,
            reads=reads,
            writes=writes,
            links=links,
            allocation=allocation,
            strength=strength,
            key_activation=key_activation,
            similarity=similarity,
            epsilon=epsilon,
            usage_floor=usage_floor,
            usage_gradient=usage_gradient,
            read_mode_softmax=read_mode_softmax,
            initial_memory=initial_memory,
            initial_value=initial_value,
            initial_reads=initial_reads,
            **at,
        )
        driver = make_controller(
            controller,
            input_size + memory.read_size,
            hidden_size,
            layers=layers,
            read_size=memory.read_size,
            clip=clip_controller,
            initial=initial_controller,
            **at,
        )
        outputs = hidden_size if output_size is None else output_size
        cell = MemoryAugmentedCell(
            driver,
            memory,
            writing=writing,
            interface=LinearInterface(driver, memory, bias=bias, clip=clip_interface, **at),
            readout=LinearReadout(driver.output_size, memory.read_size, outputs, bias=bias, clip=clip, **at),
            **at,
        )
        super().__init__(cell, batch_first=batch_first, engine=engine)
        if init == "normal":
            for module in (cell.interface, cell.readout):
                for parameter in module.parameters():
                    if parameter.dim() > 1:
                        nn.init.normal_(parameter, std=0.1)
        elif init != "xavier":
            raise unknown_name("init", init, ("xavier", "normal"))
