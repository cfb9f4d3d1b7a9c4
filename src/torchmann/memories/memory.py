"""Memory: what a controller reads from and writes to."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from torchmann.core.errors import OptionError
from torchmann.core.state import named_leaves

Half = Literal["only_read", "only_write"]
"""The halves of a step, as methods of a memory."""


class Memory(nn.Module):
    """An external memory: ``reads, state = memory(interface, state, noise=None)``, as pure as a cell's step.

    ``interface`` is ``[B, interface_size]``, what the controller emits; ``reads`` is ``[B, read_size]``, all read
    vectors side by side, head by head. `noise` is what `noise_spec` declares; None is evaluation.

    Attributes:
        interface_size: how many numbers the memory takes per step.
        reads: R, number of read vectors.
        read_size: how many numbers it gives back: all read vectors, a multiple of `reads`.
    """

    interface_size: int
    reads: int = 1
    read_size: int

    def initial_state(self, batch_size: int) -> Any:
        """The state before the first step."""
        raise TypeError(f"{type(self).__name__} must define initial_state(batch_size).")

    def noise_spec(self, batch_size: int) -> Any:
        """A NamedTuple of `Draw` (or one `Draw`), what one step takes as `noise`; None for a deterministic memory."""
        return None

    def initial_reads(self, batch_size: int) -> Tensor:
        """What the controller sees as reads before the first step, ``[B, read_size]``; zeros unless overridden."""
        _, leaf = next(named_leaves(self.initial_state(1)))
        return leaf.new_zeros(batch_size, self.read_size)

    def columns(self, half: Half) -> Sequence[int]:
        """Which numbers of the interface that half of a step looks at; all of them, unless a memory knows better."""
        return range(self.interface_size)

    def has_half(self, half: Half) -> bool:
        """Whether this memory has that half of a step: a subclass that defines it has it."""
        return getattr(type(self), half) is not getattr(Memory, half)

    def only_read(self, interface_BS: Tensor, state: Any, noise: Any = None) -> tuple[Tensor, Any]:
        """A step that reads but does not write (``hold_write``)."""
        raise OptionError(f"{type(self).__name__} has no step that only reads; write with hold='both'.")

    def only_write(self, interface_BS: Tensor, state: Any, noise: Any = None) -> tuple[Tensor | None, Any]:
        """A step that writes but does not read (``hold_read``): None in place of reads."""
        raise OptionError(f"{type(self).__name__} has no step that only writes; write with hold='both'.")


def split_fields(interface_BS: Tensor, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Cut an interface vector ``[B, S]`` into named fields, each ``[B, *shape]``, in the order of `shapes`."""
    sizes = [math.prod(shape) for shape in shapes.values()]
    parts = interface_BS.split(sizes, dim=-1)
    return {
        name: part if len(shape) == 1 else part.unflatten(-1, shape)
        for (name, shape), part in zip(shapes.items(), parts, strict=True)
    }


def field_columns(shapes: Mapping[str, tuple[int, ...]], names: Iterable[str]) -> list[int]:
    """Where in the interface vector the fields of these names lie."""
    places = torch.arange(fields_size(shapes)).unsqueeze(0)
    fields = split_fields(places, shapes)
    return [place for name in names for place in fields[name].flatten().tolist()]


def fields_size(shapes: Mapping[str, tuple[int, ...]]) -> int:
    """How many numbers the fields take together."""
    return sum(math.prod(shape) for shape in shapes.values())
