"""An interface that is a row of named fields, those for reading called ``read_...``.

Shapes: B batch, S interface.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from torchmann.core.recorder import record
from torchmann.memories.memory import Half, Memory, field_columns, fields_size, split_fields

Fields = dict[str, Tensor]
"""The activated fields of an interface by name, each ``[B, heads, ...]``."""


class FieldMemory(Memory):
    """A memory whose interface is cut into the fields that `add_field` names, in that order."""

    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[str, tuple[int, ...]] = {}
        self.activations: dict[str, Callable[[Tensor], Tensor]] = {}
        self.interface_size = 0

    def add_field(self, name: str, *shape: int, activation: Callable[[Tensor], Tensor] | None = None) -> None:
        """One more field at the end of the interface; its name begins with ``read_`` if reading takes it."""
        self.fields[name] = shape
        if activation is not None:
            self.activations[name] = activation
        self.interface_size = fields_size(self.fields)

    def interface(self, interface_BS: Tensor) -> Fields:
        """The activated fields of an interface vector."""
        fields = split_fields(interface_BS, self.fields)
        return fields | {name: activation(fields[name]) for name, activation in self.activations.items()}

    def columns(self, half: Half) -> Sequence[int]:
        """Where the fields of that half lie."""
        return field_columns(self.fields, [name for name in self.fields if _half_of(name) == half])

    def offer(self, fields: Fields, half: Half) -> None:
        """Record the fields that a half of a step looks at."""
        for name, value in fields.items():
            if _half_of(name) == half:
                record(self, name, value)


def _half_of(field: str) -> Half:
    return "only_read" if field.startswith("read_") else "only_write"
