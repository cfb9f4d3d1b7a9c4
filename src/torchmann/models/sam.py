"""Sparse access memory.

Source: Rae et al. 2016, "Scaling memory-augmented neural networks with sparse reads and writes".
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import nn

from torchmann.cells import LinearInterface, LinearReadout, MemoryAugmentedCell
from torchmann.core.errors import OptionError, unknown_name
from torchmann.engines import Recurrent
from torchmann.memories import Memory, SparseMemory, VisibleMemory, WritingPolicy
from torchmann.memories.search import Index
from torchmann.models.contract import refuses_lstm_arguments
from torchmann.models.controllers import make_controller
from torchmann.models.presets import takes_presets


class SAM(Recurrent):
    """A controller whose heads read and write a few slots of a large memory, called like `torch.nn.LSTM`.

    Args:
        input_size: features of an input step.
        hidden_size: width of the controller.
        slots: number of memory slots.
        width: width of a slot.
        reads: number of read heads, a multiple of `writes`.
        writes: number of write heads.
        nearest: K, slots that a head reads.
        output_size: features of an output step; None is `hidden_size`.
        preset: whose choices the defaults are (`torchmann.models.preset_table`); keywords go before it.
        variant: ``"paper"``, or the ``"visible"`` rows of pytorch-dnc, which has one write head.
        strength: activation of the read strengths, ``"oneplus"`` or ``"softplus"``; None: none.
        delta: weight above which a slot counts as accessed.
        index: how the nearest slots are found: ``"exact"``, or ``"faiss"`` by that library (an extra).
        similarity: ``"cosine"``, ``"cosine_clamped"``, ``"cosine_outside"``, ``"cosine_product"`` or, a defect of
            released code, ``"cosine_per_width"``.
        epsilon: of the similarity; None is that similarity's own.
        initial_value: constant at which memory and reads start.
        controller: ``"lstm"``, ``"skip_lstm"``, ``"layernorm_lstm"``, ``"gru"``, ``"rnn"`` or ``"feedforward"``.
        layers: of the controller.
        writing: when the memory is used: a policy, ``"every"`` step, ``"uniform:L"``, ``"cached:L"``, ``"random:P"``.
        clip: limit of an LSTM controller's state and of the output; None: no limit.
        init: start of the weights of interface and output, ``"xavier"`` or ``"kaiming"`` (both uniform).
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
        nearest: int = 4,
        output_size: int | None = None,
        preset: str = "recommended",
        variant: Literal["paper", "visible"] = "paper",
        strength: str | None = "oneplus",
        delta: float = 0.005,
        index: Index = "exact",
        similarity: str = "cosine",
        epsilon: float | None = None,
        initial_value: float = 0.0,
        controller: str = "lstm",
        layers: int = 1,
        writing: WritingPolicy | str | None = None,
        clip: float | None = None,
        init: Literal["xavier", "kaiming"] = "xavier",
        batch_first: bool = False,
        engine: str = "auto",
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        at: dict[str, Any] = {"device": device, "dtype": dtype}
        options: dict[str, Any] = {
            "reads": reads,
            "nearest": nearest,
            "strength": strength,
            "delta": delta,
            "index": index,
            "similarity": similarity,
            "epsilon": epsilon,
            "initial_value": initial_value,
            **at,
        }
        memory: Memory
        if is_paper_variant(variant, writes):
            memory = SparseMemory(slots, width, writes=writes, **options)
        else:
            memory = VisibleMemory(slots, width, **options)
        inputs = input_size + memory.read_size
        driver = make_controller(controller, inputs, hidden_size, layers=layers, clip=clip, initial="constant", **at)
        outputs = hidden_size if output_size is None else output_size
        cell = MemoryAugmentedCell(
            driver,
            memory,
            writing=writing,
            interface=LinearInterface(driver, memory, **at),
            readout=LinearReadout(driver.output_size, memory.read_size, outputs, clip=clip, **at),
            **at,
        )
        super().__init__(cell, batch_first=batch_first, engine=engine)
        initialise(cell, init)


def is_paper_variant(variant: str, writes: int) -> bool:
    """Whether the memory is the paper's.

    Raises:
        OptionError: unknown variant, or visible rows with several write heads.
    """
    if variant not in ("paper", "visible"):
        raise unknown_name("variant", variant, ("paper", "visible"))
    if variant == "visible" and writes != 1:
        raise OptionError(f"variant='visible' has one write head, got writes={writes}; take variant='paper'.")
    return variant == "paper"


def initialise(cell: MemoryAugmentedCell, init: str) -> None:
    """Draw the weights of interface and output anew, unless they are Xavier's as they are."""
    if init == "kaiming":
        for module in (cell.interface, cell.readout):
            for parameter in module.parameters():
                if parameter.dim() > 1:
                    nn.init.kaiming_uniform_(parameter)
    elif init != "xavier":
        raise unknown_name("init", init, ("xavier", "kaiming"))
