"""The structured neural Turing machines: NTM1, NTM2, NTM3.

Source: "Structured memory for neural Turing machines".
"""

from __future__ import annotations

from typing import Any

import torch

from torchmann.cells import LayeredInterface, LinearReadout, MemoryAugmentedCell, Stacked
from torchmann.core.cell import Controller
from torchmann.core.start import StartKind
from torchmann.engines import Recurrent
from torchmann.memories import StructuredNTMMemory, WritingPolicy
from torchmann.models.contract import refuses_lstm_arguments
from torchmann.models.controllers import make_controller
from torchmann.models.presets import takes_presets


class NTM1(Recurrent):
    """One written memory and a hidden one that accumulates it; the heads read the hidden memory.

    Args:
        input_size: features of an input step.
        hidden_size: width of the controller.
        slots: number of slots of each memory.
        width: width of a slot.
        output_size: features of an output step; None is `hidden_size`.
        preset: whose choices the defaults are (`torchmann.models.preset_table`); keywords go before it.
        controller: ``"lstm"``, ``"layernorm_lstm"``, ``"gru"``, ``"rnn"``, ``"feedforward"``,
            ``"armin"`` or ``"tardis"``.
        layers: of the controller.
        writing: when the memory is used: a policy, ``"every"`` step, ``"uniform:L"``, ``"cached:L"``, ``"random:P"``.
        a: share of the hidden memory's past, where it starts.
        b: share of the written memory, where it starts.
        trained: learn a and b.
        key_activation: of keys and add vectors, ``"none"`` or ``"tanh"``.
        similarity: ``"cosine"``, ``"cosine_clamped"``, ``"cosine_outside"``, ``"cosine_product"`` or
            ``"cosine_per_width"``, a defect of released code.
        initial_controller: where the controller's state starts: ``"constant"`` 0, ``"learned"``, ``"tanh"`` of learned.
        initial_reads: where the reads start, likewise.
        output_reads: show the reads to the output, not only to the controller at the next step.
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
        output_size: int | None = None,
        preset: str = "recommended",
        controller: str = "lstm",
        layers: int = 1,
        writing: WritingPolicy | str | None = None,
        a: float = 0.5,
        b: float = 0.5,
        trained: bool = True,
        key_activation: str = "none",
        similarity: str = "cosine",
        initial_controller: StartKind = "constant",
        initial_reads: StartKind = "constant",
        output_reads: bool = True,
        batch_first: bool = False,
        engine: str = "auto",
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        at: dict[str, Any] = {"device": device, "dtype": dtype}
        options: dict[str, Any] = {
            "a": a,
            "b": b,
            "trained": trained,
            "similarity": similarity,
            "initial_reads": initial_reads,
        }
        memory = StructuredNTMMemory(slots, width, written="first", key_activation=key_activation, **options, **at)
        inputs = input_size + memory.read_size
        outputs = hidden_size if output_size is None else output_size
        driver = make_controller(
            controller,
            inputs,
            hidden_size,
            layers=layers,
            read_size=memory.read_size,
            clip=None,
            initial=initial_controller,
            **at,
        )
        cell = _wired(driver, memory, outputs, output_reads, writing, None, at)
        super().__init__(cell, batch_first=batch_first, engine=engine)


class NTM2(Recurrent):
    """Levels of memory, all written from one controller, each mixed with the one above; the heads read the last.

    Args:
        input_size: features of an input step.
        hidden_size: width of the controller.
        slots: number of slots of each memory.
        width: width of a slot.
        levels: number of memories.
        shared_heads: all write heads emit the same fields.
        output_size: features of an output step; None is `hidden_size`.
        preset: whose choices the defaults are (`torchmann.models.preset_table`); keywords go before it.
        controller: ``"lstm"``, ``"layernorm_lstm"``, ``"gru"``, ``"rnn"``, ``"feedforward"``,
            ``"armin"`` or ``"tardis"``.
        layers: of the controller.
        writing: when the memory is used: a policy, ``"every"`` step, ``"uniform:L"``, ``"cached:L"``, ``"random:P"``.
        a: share of a level's own memory, where it starts.
        b: share of the level above, where it starts.
        trained: learn a and b.
        key_activation: of keys and add vectors, ``"none"`` or ``"tanh"``.
        similarity: ``"cosine"``, ``"cosine_clamped"``, ``"cosine_outside"``, ``"cosine_product"`` or
            ``"cosine_per_width"``, a defect of released code.
        initial_controller: where the controller's state starts: ``"constant"`` 0, ``"learned"``, ``"tanh"`` of learned.
        initial_reads: where the reads start, likewise.
        output_reads: show the reads to the output, not only to the controller at the next step.
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
        levels: int = 2,
        shared_heads: bool = False,
        output_size: int | None = None,
        preset: str = "recommended",
        controller: str = "lstm",
        layers: int = 1,
        writing: WritingPolicy | str | None = None,
        a: float = 0.5,
        b: float = 0.5,
        trained: bool = True,
        key_activation: str = "none",
        similarity: str = "cosine",
        initial_controller: StartKind = "constant",
        initial_reads: StartKind = "constant",
        output_reads: bool = True,
        batch_first: bool = False,
        engine: str = "auto",
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        at: dict[str, Any] = {"device": device, "dtype": dtype}
        options: dict[str, Any] = {
            "a": a,
            "b": b,
            "trained": trained,
            "similarity": similarity,
            "initial_reads": initial_reads,
        }
        options |= {"levels": levels, "shared_heads": shared_heads, "key_activation": key_activation}
        memory = StructuredNTMMemory(slots, width, **options, **at)
        inputs = input_size + memory.read_size
        outputs = hidden_size if output_size is None else output_size
        driver = make_controller(
            controller,
            inputs,
            hidden_size,
            layers=layers,
            read_size=memory.read_size,
            clip=None,
            initial=initial_controller,
            **at,
        )
        cell = _wired(driver, memory, outputs, output_reads, writing, None, at)
        super().__init__(cell, batch_first=batch_first, engine=engine)


class NTM3(Recurrent):
    """As NTM2, but each memory is written from a layer of the controller of its own.

    Args:
        input_size: features of an input step.
        hidden_size: width of each layer of the controller.
        slots: number of slots of each memory.
        width: width of a slot.
        levels: number of memories and of controller layers.
        output_size: features of an output step; None is `hidden_size`.
        preset: whose choices the defaults are (`torchmann.models.preset_table`); keywords go before it.
        controller: ``"lstm"``, ``"layernorm_lstm"``, ``"gru"``, ``"rnn"``, ``"feedforward"``,
            ``"armin"`` or ``"tardis"``.
        writing: when the memory is used: a policy, ``"every"`` step, ``"uniform:L"``, ``"cached:L"``, ``"random:P"``.
        a: share of a level's own memory, where it starts.
        b: share of the level above, where it starts.
        trained: learn a and b.
        key_activation: of keys and add vectors, ``"none"`` or ``"tanh"``.
        similarity: ``"cosine"``, ``"cosine_clamped"``, ``"cosine_outside"``, ``"cosine_product"`` or
            ``"cosine_per_width"``, a defect of released code.
        initial_controller: where the controller's state starts: ``"constant"`` 0, ``"learned"``, ``"tanh"`` of learned.
        initial_reads: where the reads start, likewise.
        output_reads: show the reads to the output, not only to the controller at the next step.
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
        levels: int = 2,
        output_size: int | None = None,
        preset: str = "recommended",
        controller: str = "lstm",
        writing: WritingPolicy | str | None = None,
        a: float = 0.5,
        b: float = 0.5,
        trained: bool = True,
        key_activation: str = "none",
        similarity: str = "cosine",
        initial_controller: StartKind = "constant",
        initial_reads: StartKind = "constant",
        output_reads: bool = True,
        batch_first: bool = False,
        engine: str = "auto",
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        at: dict[str, Any] = {"device": device, "dtype": dtype}
        options: dict[str, Any] = {
            "a": a,
            "b": b,
            "trained": trained,
            "similarity": similarity,
            "initial_reads": initial_reads,
        }
        memory = StructuredNTMMemory(slots, width, levels=levels, key_activation=key_activation, **options, **at)
        inputs = input_size + memory.read_size
        outputs = hidden_size if output_size is None else output_size
        driver = make_controller(
            controller,
            inputs,
            hidden_size,
            layers=levels,
            read_size=memory.read_size,
            clip=None,
            initial=initial_controller,
            **at,
        )
        assert isinstance(driver, Stacked)  # levels are at least 2
        cell = _wired(driver, memory, outputs, output_reads, writing, LayeredInterface(driver, memory, **at), at)
        super().__init__(cell, batch_first=batch_first, engine=engine)


def _wired(
    driver: Controller,
    memory: StructuredNTMMemory,
    output_size: int,
    output_reads: bool,
    writing: WritingPolicy | str | None,
    interface: LayeredInterface | None,
    at: dict[str, Any],
) -> MemoryAugmentedCell:
    readout = LinearReadout(driver.output_size, memory.read_size if output_reads else 0, output_size, **at)
    return MemoryAugmentedCell(driver, memory, writing=writing, interface=interface, readout=readout, **at)
