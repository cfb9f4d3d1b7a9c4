"""A readout that sees the reads alone.

Shapes: B batch, H controller output, O output.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from torchmann.cells.linear_maps import Readout, xavier_linear


class ReadsReadout(Readout):
    """``y = W r + b``, optionally through ReLU layers: whatever the output knows has been through the memory.

    Args:
        read_size: width of all reads.
        output_size: O; None: no last map, the output is that of the last ReLU layer, or without any the reads.
        layers: widths of ReLU layers.
    """

    def __init__(
        self,
        read_size: int,
        output_size: int | None = None,
        *,
        layers: Sequence[int] = (),
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        widths = [read_size, *layers]
        self.layers = nn.ModuleList(xavier_linear(i, o, True, device, dtype) for i, o in pairwise(widths))
        self.linear: nn.Module = nn.Identity()
        if output_size is not None:
            self.linear = xavier_linear(widths[-1], output_size, True, device, dtype)
        self.output_size = widths[-1] if output_size is None else output_size

    def forward(self, hidden: Tensor, reads: Tensor) -> Tensor:
        """The output ``[B, O]``; ``hidden [B, H]`` is not looked at."""
        for layer in self.layers:
            reads = layer(reads).relu()
        return self.linear(reads)
