"""What vlgiitr/ntm-pytorch and loudinthecloud/pytorch-ntm have in common, on our NTM.

Both run the heads in the order read 0, write 0, read 1, write 1, ... and put a sigmoid on the output.
"""

from __future__ import annotations

from typing import Any

import torch
from tests.parity.golden import Golden
from torch import Tensor

import torchmann as tm
from torchmann.memories import NTMMemory

Maps = dict[str, Tensor]
"""The maps of one head by our name of the field, each with one row for each number that it gives."""


def build(golden: Golden, **options: Any) -> tm.NTM:
    """Our NTM with what both have in common, and `options`."""
    size = golden.sizes
    return tm.NTM(
        size["I"],
        size["H"],
        slots=size["N"],
        width=size["M"],
        reads=size["heads"],
        writes=size["heads"],
        output_size=size["O"],
        order="interleaved",
        similarity="cosine_clamped",
        initial_controller="learned",
        initial_weights="constant",
        **options,
    )


def interface_rows(memory: NTMMemory, reads: list[Maps], writes: list[Maps]) -> Tensor:
    """The rows of our one map: field by field and in each field head by head, first the read heads'."""

    def fields(names: dict[str, tuple[int, ...]], role: str, heads: list[Maps]) -> list[Tensor]:
        return [head[name.removeprefix(f"{role}_")] for name in names for head in heads]

    return torch.cat([*fields(memory.read_fields, "read", reads), *fields(memory.write_fields, "write", writes)])


def shift_taps(rows: Tensor) -> Tensor:
    """Their first tap moves a weight up, our last."""
    return rows.flip(0)


def recorded(recorder: tm.Recorder, size: dict[str, int]) -> dict[str, Tensor]:
    """The states under their names; heads are numbered in the order in which they run."""
    states = {"memory": recorder["state.memory.memory"]}
    states |= {leaf: recorder[f"state.controller.{leaf}"] for leaf in ("h", "c")}
    reads = recorder["state.reads"].unflatten(-1, (size["heads"], size["M"]))
    for head in range(size["heads"]):
        states[f"read_{head}"] = reads[:, :, head]
        states[f"head_weights_{2 * head}"] = recorder["state.memory.read_weights"][:, :, head]
        states[f"head_weights_{2 * head + 1}"] = recorder["state.memory.write_weights"][:, :, head]
    return states
