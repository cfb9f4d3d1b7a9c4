"""What the released neural Turing machines have in common, beside the names of their arrays.

The heads run in the order read 0, write 0, read 1, write 1, ..., and the output ends in a logistic function. Weights
are ``[out, in]``. Sizes: I input, O output, H controller, N slots, M width of a slot, heads (pairs of a read and a
write head).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor

from torchmann.interop.source_model import Arrays, SourceModel
from torchmann.memories import NTMState
from torchmann.models import NTM

IN_TURN = "read, write for each of the heads"
"""The only order of the heads that the code has, as recorded in the option ``heads_in_order``."""

SHIFTS = 3


class ReleasedNTM(SourceModel):
    """An NTM that shows its heads the writing of the heads before them, and whose weightings start at zero."""

    start_gradients = False

    @abstractmethod
    def head(self, source: Arrays, number: int, kind: str) -> Arrays:
        """The rows of the head that runs as `number`, by our names of the fields; `kind` is ``weight`` or ``bias``."""

    @abstractmethod
    def controller_parts(self, controller: Any) -> Arrays:
        """What the source calls h and c."""

    @abstractmethod
    def controller_state(self, h: Tensor, c: Tensor) -> Any:
        """The inverse of `controller_parts`."""

    def ntm(self, **options: Any) -> NTM:
        """Our NTM with what all of them share, and `options`."""
        if "heads_in_order" in self.options:
            self.option("heads_in_order", IN_TURN)
        return NTM(
            self.size("I"),
            self.size("H"),
            slots=self.size("N"),
            width=self.size("M"),
            reads=self.size("heads"),
            writes=self.size("heads"),
            output_size=self.size("O"),
            order="interleaved",
            similarity="cosine_clamped",
            sharpening_epsilon=self.constants["sharpen_eps"],
            initial_controller="learned",
            initial_weights="constant",
            **options,
        )

    def output(self, output_TBO: Tensor) -> Tensor:
        """Ours leaves the logistic function to the loss."""
        return output_TBO.sigmoid()

    def interface(self, source: Arrays, kind: str) -> Tensor:
        """The rows of our interface: field by field, and in each field head by head, those of the read heads first."""
        heads = [self.head(source, number, kind) for number in range(2 * self.size("heads"))]
        for head in heads:
            head["shift"] = head["shift"].flip(0)  # their first tap moves a weight up, our last
        memory: Any = self.model.cell.memory
        rows = [head[name.removeprefix("read_")] for name in memory.read_fields for head in heads[::2]]
        rows += [head[name.removeprefix("write_")] for name in memory.write_fields for head in heads[1::2]]
        return torch.cat(rows)

    def exported(self, state: Any) -> Arrays:
        """Reads and weightings head by head; weightings are numbered in the order in which the heads run."""
        parts = {"memory": state.memory.memory, **self.controller_parts(state.controller)}
        reads = state.reads.unflatten(-1, (self.size("heads"), self.size("M")))
        for head in range(self.size("heads")):
            parts[f"read_{head}"] = reads[:, head]
            parts[f"head_weights_{2 * head}"] = state.memory.read_weights[:, head]
            parts[f"head_weights_{2 * head + 1}"] = state.memory.write_weights[:, head]
        return parts

    def imported(self, arrays: Arrays, state: Any) -> Any:
        """The inverse of `exported`."""
        weights = [arrays[f"head_weights_{number}"] for number in range(2 * self.size("heads"))]
        return state._replace(
            controller=self.controller_state(arrays["h"], arrays["c"]),
            memory=NTMState(arrays["memory"], torch.stack(weights[::2], dim=1), torch.stack(weights[1::2], dim=1)),
            reads=torch.cat([arrays[f"read_{head}"] for head in range(self.size("heads"))], dim=-1),
        )
