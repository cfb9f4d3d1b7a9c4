"""google-deepmind/dnc: the differentiable neural computer of its authors, in Sonnet.

Weights are ``[in, out]``. Sizes: I input, O output, H controller, N slots, W width, R read heads, num_writes.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from torchmann.cells import LSTMState
from torchmann.interop.arrays import Shape
from torchmann.interop.source_model import Arrays, SourceModel
from torchmann.interop.sources.layouts import below, fused_lstm, limit, linear_shapes, under
from torchmann.memories import DNCState
from torchmann.models import DNC

FIELDS = {
    "read_key": "read_keys",
    "read_strength": "read_strengths",
    "write_key": "write_keys",
    "write_strength": "write_strengths",
    "erase": "erase_vectors",
    "write_vector": "write_vectors",
    "free_gate": "free_gate",
    "allocation_gate": "allocation_gate",
    "write_gate": "write_gate",
    "read_mode": "read_mode",
}
"""Our fields of the interface, in our order, and what they are called there."""


class DeepMindDNC(SourceModel):
    """A DNC with one affine map for each field of its interface."""

    source = "deepmind-dnc"
    defaults: ClassVar = {"epsilon": 1e-6, "clip_value": 0.0, "forget_bias": 1.0}
    fixed = ("epsilon",)
    slot_axes: ClassVar = {
        "memory": (2,),
        "usage": (2,),
        "write_weights": (3,),
        "read_weights": (3,),
        "precedence": (3,),
        "link": (3, 4),
    }

    def shapes(self) -> dict[str, Shape]:
        """An LSTM, a map for each field, an output layer."""
        inputs, outputs, hidden, width, reads, writes = (
            self.size(name) for name in ("I", "O", "H", "W", "R", "num_writes")
        )
        sizes = {
            "read_keys": reads * width,
            "read_strengths": reads,
            "write_keys": writes * width,
            "write_strengths": writes,
            "erase_vectors": writes * width,
            "write_vectors": writes * width,
            "free_gate": reads,
            "allocation_gate": writes,
            "write_gate": writes,
            "read_mode": reads * (1 + 2 * writes),
        }
        shapes = linear_shapes("dnc/lstm", inputs + reads * width + hidden, 4 * hidden, "w_gates", "b_gates")
        for field, size in sizes.items():
            shapes |= linear_shapes(f"dnc/memory_access/{field}", hidden, size)
        return shapes | linear_shapes("dnc/output_linear", hidden + reads * width, outputs)

    def build(self) -> DNC:
        """Strengths without the one, and the limit of controller and output."""
        clip = limit(self.constants["clip_value"])
        return DNC(
            self.size("I"),
            self.size("H"),
            slots=self.size("N"),
            width=self.size("W"),
            reads=self.size("R"),
            writes=self.size("num_writes"),
            output_size=self.size("O"),
            strength="softplus",
            clip=clip,
            clip_controller=clip,
        )

    def parameters(self, source: Arrays) -> Arrays:
        """One map to the interface in place of one for each field; read modes in our order."""
        source = below(source, "dnc")
        controller = fused_lstm(source["lstm/w_gates"], source["lstm/b_gates"], self.constants["forget_bias"])
        access = below(source, "memory_access")
        reads, writes = self.size("R"), self.size("num_writes")
        for kind in ("w", "b"):  # per head: backward, forward, content there; backward, content, forward here
            modes = access[f"read_mode/{kind}"].unflatten(-1, (reads, 1 + 2 * writes))
            backward, forward, content = modes.split([writes, writes, 1], dim=-1)
            access[f"read_mode/{kind}"] = torch.cat([backward, content, forward], dim=-1).flatten(-2)
        return {
            **under("cell.controller", controller),
            "cell.interface.linear.weight": torch.cat([access[f"{name}/w"] for name in FIELDS.values()], dim=1).T,
            "cell.interface.linear.bias": torch.cat([access[f"{name}/b"] for name in FIELDS.values()]),
            "cell.readout.linear.weight": source["output_linear/w"].T,
            "cell.readout.linear.bias": source["output_linear/b"],
        }

    def exported(self, state: Any) -> Arrays:
        """As ours but for the reads, which are one row for each head there."""
        return {
            "access_output": state.reads.unflatten(-1, (self.size("R"), self.size("W"))),
            **state.memory._asdict(),
            "controller_h": state.controller.h,
            "controller_c": state.controller.c,
        }

    def imported(self, arrays: Arrays, state: Any) -> Any:
        """The inverse of `exported`."""
        return state._replace(
            controller=LSTMState(arrays["controller_h"], arrays["controller_c"]),
            memory=DNCState(**{name: arrays[name] for name in DNCState._fields}),
            reads=arrays["access_output"].flatten(1),
        )
