"""What both passes of the sparse engine know of a run.

Shapes: T time, B batch.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from typing import Any, NamedTuple

import torch
from torch import Tensor

from torchmann.cells.memory_cell import MemoryCell
from torchmann.core.precision import autocast_is_on, without_autocast
from torchmann.core.state import Tree, map_leaves
from torchmann.memories import SparseMemory


def structure(tree: Tree) -> Tree:
    """The tree without its tensors: what `filled` needs of it."""
    return map_leaves(lambda _: ..., tree)


class Plan(NamedTuple):
    """What a run takes besides tensors with gradients."""

    cell: MemoryCell
    memory: SparseMemory  # of the cell
    schedule: Sequence[Hashable]
    state: Any  # its structure, without the leaves that grow with N
    noise: Tree  # its structure
    sizes: Sequence[int]  # how many parameters, sequences (inputs and noise) and leaves of the state there are
    running_TB: Tensor | None
    resets: Sequence[Tensor | None]  # which rows start anew before the step of each time
    fresh: bool  # there are leaves of a state to start anew from
    wanted: bool  # a gradient is
    device_type: str
    autocast: torch.dtype | None  # None: it is off

    def split(self, tensors: Sequence[Tensor]) -> list[list[Tensor]]:
        """Parameters, sequences, leaves, and in a last list what else there is."""
        rest = iter(tensors)
        return [*(list(islice(rest, size)) for size in self.sizes), list(rest)]

    def running(self, t: int) -> Tensor | None:
        """Which rows run at time t; None: all."""
        return None if self.running_TB is None else self.running_TB[t]

    def again(self) -> AbstractContextManager[object]:
        """A context with autocast as it was, in which no cast weights are kept."""
        if self.autocast is None:
            return without_autocast(self.device_type)
        return torch.autocast(self.device_type, dtype=self.autocast, cache_enabled=False)


def autocast_now(device_type: str) -> torch.dtype | None:
    """The precision of autocast; None: it is off."""
    return torch.get_autocast_dtype(device_type) if autocast_is_on(device_type) else None
