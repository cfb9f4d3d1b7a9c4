"""The affine maps around a memory: from the controller to what the memory takes, and from the reads to the output.

Shapes: B batch, H controller output, S interface, P the part of the interface that a half takes, O output.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from torchmann.core.cell import Controller
from torchmann.core.errors import OptionError, unknown_name
from torchmann.memories.memory import Half, Memory


class LinearInterface(nn.Module):
    """One affine map from a feature of the controller to all that the memory takes.

    Args:
        controller: whose features are mapped.
        memory: whose `interface_size` is filled.
        source: ``"output"`` of the controller, or one of its features by name (``"c"``, ``"0.h"``, ...).
        bias: make the map affine.
        clip: limit the interface to ±clip; None: no limit.
    """

    def __init__(
        self,
        controller: Controller,
        memory: Memory,
        *,
        source: str = "output",
        bias: bool = True,
        clip: float | None = None,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        sizes = {"output": controller.output_size, **controller.feature_sizes}
        if source not in sizes:
            raise unknown_name("source of the interface", source, sizes)
        self.source, self.clip = source, _limit(clip)
        self.linear = xavier_linear(sizes[source], memory.interface_size, bias, device, dtype)

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """The interface ``[B, S]``."""
        return _clipped(self.linear(features[self.source]), self.clip)


class HalfInterface(nn.Module):
    """What one half of a memory's step takes, from some features side by side; the other half's numbers are zero.

    Args:
        half: ``"only_read"`` or ``"only_write"``.
        memory: whose `Memory.columns` are filled.
        sizes: the widths of all features there are, by name.
        sources: the names of those that are looked at.
        mapped: by an affine map, orthogonal at the start; otherwise these features themselves are what the half takes.
            A half that takes nothing has no map.

    Raises:
        OptionError: an unknown source, or features without a map that are not as wide as what the half takes.
    """

    places: Tensor

    def __init__(
        self,
        half: Half,
        memory: Memory,
        sizes: Mapping[str, int],
        sources: Sequence[str],
        *,
        mapped: bool = True,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        for source in sources:
            if source not in sizes:
                raise unknown_name("source of the interface", source, sizes)
        columns = list(memory.columns(half))
        given = sum(sizes[source] for source in sources)
        if not mapped and given != len(columns):
            raise OptionError(f"{sources} are {given} numbers, but {half} takes {len(columns)}: use mapped=True.")
        self.sources, self.taken = tuple(sources), len(columns)
        self.linear: nn.Module = nn.Identity()
        if mapped and columns:
            self.linear = nn.Linear(given, len(columns), device=device, dtype=dtype)
            nn.init.orthogonal_(self.linear.weight)
            nn.init.zeros_(self.linear.bias)
        places_S = torch.full((memory.interface_size,), len(columns), device=device)  # where a zero is put
        places_S[columns] = torch.arange(len(columns), device=device)
        self.register_buffer("places", places_S, persistent=False)

    def part(self, features: Mapping[str, Tensor]) -> Tensor:
        """What the half takes, ``[B, P]``, in the order of its columns."""
        return self.linear(torch.cat([features[source] for source in self.sources], dim=-1))[:, : self.taken]

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """The interface ``[B, S]``."""
        return F.pad(self.part(features), (0, 1))[:, self.places]


class Readout(nn.Module):
    """What makes the output: ``readout(hidden [B, H], reads [B, read_size]) -> [B, O]``.

    Attributes:
        output_size: O.
    """

    output_size: int


class LinearReadout(Readout):
    """``y = W [h ; reads] + b``: the output sees the controller and what it just read; optionally through ReLU layers.

    Args:
        hidden_size: H.
        read_size: width of all reads; 0 hides them from the output.
        output_size: O.
        layers: widths of ReLU layers before the last map.
        bias: add b.
        clip: limit the output to ±clip; None: no limit.
    """

    def __init__(
        self,
        hidden_size: int,
        read_size: int,
        output_size: int,
        *,
        layers: Sequence[int] = (),
        bias: bool = True,
        clip: float | None = None,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.output_size, self.clip = output_size, _limit(clip)
        self.sees_reads = read_size > 0
        widths = [hidden_size + read_size, *layers]
        self.layers = nn.ModuleList(xavier_linear(i, o, True, device, dtype) for i, o in pairwise(widths))
        self.linear = xavier_linear(widths[-1], output_size, bias, device, dtype)

    def forward(self, hidden: Tensor, reads: Tensor) -> Tensor:
        """The output ``[B, O]``."""
        seen = torch.cat([hidden, reads], dim=-1) if self.sees_reads else hidden
        for layer in self.layers:
            seen = layer(seen).relu()
        return _clipped(self.linear(seen), self.clip)


def xavier_linear(inputs: int, outputs: int, bias: bool, device: Any, dtype: torch.dtype | None) -> nn.Linear:
    """A linear layer with Xavier-uniform weights and a bias of zero."""
    linear = nn.Linear(inputs, outputs, bias=bias, device=device, dtype=dtype)
    nn.init.xavier_uniform_(linear.weight)
    if bias:
        nn.init.zeros_(linear.bias)
    return linear


def _limit(clip: float | None) -> float | None:
    if clip is not None and not clip > 0:
        raise OptionError(f"clip must be positive or None, got {clip}.")
    return clip


def _clipped(value: Tensor, clip: float | None) -> Tensor:
    return value if clip is None else value.clamp(-clip, clip)
