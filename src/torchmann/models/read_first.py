"""What ARMIN, AwTA and TARDIS are wired of: a memory of slots around a controller, read before it and written after."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import nn

from torchmann.cells import HalfInterface, LinearReadout, ReadFirstCell, Zoneout
from torchmann.core.cell import Controller
from torchmann.core.errors import unknown_name
from torchmann.core.start import Start
from torchmann.memories import SlotHistory, WritingPolicy

Stored = Literal["hidden", "mapped", "mapped_with_input"]
_STORED = {"hidden": ["h"], "mapped": ["h"], "mapped_with_input": ["x", "h"]}
_DRAWS = {"zero": nn.init.zeros_, "uniform": nn.init.uniform_, "normal": nn.init.normal_}


def read_first_cell(
    controller: Controller,
    memory: SlotHistory,
    *,
    addressed_by: str,
    stored: Stored,
    shown_reads: int,
    output_size: int,
    output_init: Literal["orthogonal", "xavier"],
    writing: WritingPolicy | str | None,
    device: Any,
    dtype: torch.dtype | None,
) -> ReadFirstCell:
    """The cell.

    Args:
        controller: it takes the input and what is read.
        memory: whose entries are as wide as what is read.
        addressed_by: the feature of the controller that, with the input, makes the address.
        stored: ``"hidden"``: the hidden vector, mapped only where it is not as wide as a slot; ``"mapped"``: a map of
            it in any case; ``"mapped_with_input"``: a map of it and the input.
        shown_reads: how many numbers of the reads the output is shown.
        output_size: O.
        output_init: start of the output layer.
        writing: when the memory is used.
        device: of the parameters.
        dtype: of the parameters.

    Raises:
        OptionError: an unknown name.
    """
    if stored not in _STORED:
        raise unknown_name("stored", stored, _STORED)
    if output_init not in ("orthogonal", "xavier"):
        raise unknown_name("output_init", output_init, ("orthogonal", "xavier"))
    at: dict[str, Any] = {"device": device, "dtype": dtype}
    sizes = {"x": controller.input_size - memory.read_size, **controller.feature_sizes}
    readout = LinearReadout(controller.output_size, shown_reads, output_size, **at)
    if output_init == "orthogonal":
        nn.init.orthogonal_(readout.linear.weight)
    mapped = stored != "hidden" or sizes["h"] != memory.width
    return ReadFirstCell(
        controller,
        memory,
        writing=writing,
        readout=readout,
        address=HalfInterface("only_read", memory, sizes, ["x", addressed_by], **at),
        entry=HalfInterface("only_write", memory, sizes, _STORED[stored], mapped=mapped, **at),
        **at,
    )


def draw_start(start: Start, name: str) -> None:
    """Let a learned start start at ``"zero"``, or drawn: ``"uniform"`` on [0, 1) or ``"normal"``.

    Raises:
        OptionError: unknown name.
    """
    if name not in _DRAWS:
        raise unknown_name("initial_draw", name, _DRAWS)
    for parameter in start.parameters():
        _DRAWS[name](parameter)


def zoned(controller: Controller, keep: float | None, output: Literal["zoned", "new"]) -> Controller:
    """The controller with zoneout, if a probability of new values is given."""
    return controller if keep is None else Zoneout(controller, keep, output=output)
