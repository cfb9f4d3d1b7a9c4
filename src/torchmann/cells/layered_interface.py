"""An interface in which each controller layer drives a write head of its own.

Shapes: B batch, V write heads, S interface.
Source: "Structured memory for neural Turing machines", NTM3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from torchmann.cells.linear_maps import xavier_linear
from torchmann.cells.stacked import Stacked
from torchmann.core.errors import OptionError
from torchmann.memories.memory import fields_size
from torchmann.memories.ntm import NTMMemory


class LayeredInterface(nn.Module):
    """Layer k of the controller drives write head k; the top layer drives the read heads.

    Args:
        controller: a stack with as many layers as the memory has write heads.
        memory: an `NTMMemory` or a memory derived from it.

    Raises:
        OptionError: the controller is no stack, the memory no `NTMMemory`, or layers and write heads differ in number.
    """

    def __init__(
        self, controller: Stacked, memory: NTMMemory, *, device: Any = None, dtype: torch.dtype | None = None
    ) -> None:
        super().__init__()
        if not isinstance(controller, Stacked) or not isinstance(memory, NTMMemory):
            raise OptionError(
                "a layered interface connects the layers of a Stacked controller to the write heads of one NTMMemory, "
                f"got a {type(controller).__name__} and a {type(memory).__name__}."
            )
        if len(controller.cells) != memory.writes:
            raise OptionError(
                f"the controller has {len(controller.cells)} layers, but the memory {memory.writes} write heads: "
                "each layer drives one, give both the same number."
            )
        shapes = [shape[1:] for shape in memory.write_fields.values()]  # of one head
        self.field_sizes = [torch.Size(shape).numel() for shape in shapes]
        sizes = controller.feature_sizes
        top = xavier_linear(controller.output_size, fields_size(memory.read_fields), True, device, dtype)
        self.to_read_heads = top
        self.to_write_head = nn.ModuleList(
            xavier_linear(sizes[f"{layer}.h"], sum(self.field_sizes), True, device, dtype)
            for layer in range(memory.writes)
        )

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """The interface ``[B, S]``."""
        heads = [layer(features[f"{number}.h"]) for number, layer in enumerate(self.to_write_head)]
        fields = torch.stack(heads, dim=1).split(self.field_sizes, dim=-1)  # each [B, V, size]
        return torch.cat([self.to_read_heads(features["output"]), *(field.flatten(1) for field in fields)], dim=-1)
