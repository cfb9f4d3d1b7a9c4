"""zoharli/armin: the DNC that its algorithmic tasks are compared with.

The LSTM's kernel is ``[in, out]``, all else ``[out, in]``. Sizes: I input, O output, H controller, N slots, W width, R
read heads. It has two defects, which are part of its published results: the similarity is divided by the width, and
read modes are softmaxed over the heads.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from torchmann.cells import LSTMState
from torchmann.interop.arrays import Shape
from torchmann.interop.source_model import Arrays, SourceModel
from torchmann.interop.sources.layouts import fused_lstm, under
from torchmann.memories import DNCState
from torchmann.models import DNC

FIELDS = {
    "read_key": "read_keys",
    "read_strength": "read_strengths",
    "write_key": "write_key",
    "write_strength": "write_strength",
    "erase": "erase_vector",
    "write_vector": "write_vector",
    "free_gate": "free_gates",
    "allocation_gate": "allocation_gate",
    "write_gate": "write_gate",
    "read_mode": "read_modes",
}
"""Our fields of the interface, in our order, and what they are called there."""
MEMORY = {"link": "link_matrix", "usage": "usage_vector"}
"""Our fields of the memory's state that have another name there."""


class ArminDNC(SourceModel):
    """A DNC with learned starts of the controller and the reads, and one affine map for each field of its interface."""

    source = "armin-dnc"
    defaults: ClassVar = {"delta": 1e-6, "forget_bias": 1.0}
    start_gradients = False
    slot_axes: ClassVar = {
        "memory": (2,),
        "usage_vector": (2,),
        "write_weights": (3,),
        "read_weights": (3,),
        "precedence": (3,),
        "link_matrix": (3, 4),
    }

    def shapes(self) -> dict[str, Shape]:
        """Starts, an LSTM, a map for each field, an output layer."""
        inputs, outputs, hidden, width, reads = (self.size(name) for name in ("I", "O", "H", "W", "R"))
        fields = {
            "read_keys": reads * width,
            "read_strengths": reads,
            "write_key": width,
            "write_strength": 1,
            "erase_vector": width,
            "write_vector": width,
            "free_gates": reads,
            "allocation_gate": 1,
            "write_gate": 1,
            "read_modes": reads * 3,
        }
        maps = {f"memories.{field}_transform": (size, hidden) for field, size in fields.items()}
        maps["output"] = (outputs, hidden + reads * width)
        return {
            "h_bias": (hidden,),
            "c_bias": (hidden,),
            "last_read_bias": (reads * width,),
            "rnns.W_full": (inputs + reads * width + hidden, 4 * hidden),
            "rnns.bias": (4 * hidden,),
            **{f"{name}.weight": shape for name, shape in maps.items()},
            **{f"{name}.bias": shape[:1] for name, shape in maps.items()},
        }

    def build(self) -> DNC:
        """With both defects, and without limits."""
        return DNC(
            self.size("I"),
            self.size("H"),
            slots=self.size("N"),
            width=self.size("W"),
            reads=self.size("R"),
            output_size=self.size("O"),
            strength="softplus",
            key_activation="tanh",
            similarity="cosine_per_width",
            epsilon=self.constants["delta"],
            usage_floor=self.constants["delta"],
            usage_gradient=True,
            read_mode_softmax="heads",
            initial_controller="tanh",
            initial_reads="learned",
            clip=None,
            clip_controller=None,
        )

    def parameters(self, source: Arrays) -> Arrays:
        """One map to the interface in place of one for each field; read modes in our order."""
        controller = fused_lstm(source["rnns.W_full"], source["rnns.bias"], self.constants["forget_bias"])
        fields = [f"memories.{name}_transform" for name in FIELDS.values()]
        maps = {kind: [source[f"{field}.{kind}"] for field in fields] for kind in ("weight", "bias")}
        for rows in maps.values():  # per head: backward, forward, content there; backward, content, forward here
            rows[-1] = rows[-1].unflatten(0, (self.size("R"), 3))[:, [0, 2, 1]].flatten(0, 1)
        return {
            **under("cell.controller", controller),
            "cell.controller.initial_h.weight": source["h_bias"],
            "cell.controller.initial_c.weight": source["c_bias"],
            "cell.memory.initial_read.weight": source["last_read_bias"],
            "cell.interface.linear.weight": torch.cat(maps["weight"]),
            "cell.interface.linear.bias": torch.cat(maps["bias"]),
            "cell.readout.linear.weight": source["output.weight"],
            "cell.readout.linear.bias": source["output.bias"],
        }

    def output(self, output_TBO: Tensor) -> Tensor:
        """Probabilities."""
        return output_TBO.sigmoid()

    def exported(self, state: Any) -> Arrays:
        """As ours, under its names."""
        return {
            **{MEMORY.get(name, name): value for name, value in state.memory._asdict().items()},
            "h": state.controller.h,
            "c": state.controller.c,
            "read_vectors": state.reads,
        }

    def imported(self, arrays: Arrays, state: Any) -> Any:
        """The inverse of `exported`."""
        return state._replace(
            controller=LSTMState(arrays["h"], arrays["c"]),
            memory=DNCState(**{name: arrays[MEMORY.get(name, name)] for name in DNCState._fields}),
            reads=arrays["read_vectors"],
        )
