"""vlgiitr/ntm-pytorch: an NTM whose heads see the cell state and have no erase vector.

Each head has a map of its own for each field. Sizes as in `ReleasedNTM`.
"""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor

from torchmann.cells import LSTMState
from torchmann.interop.arrays import Shape
from torchmann.interop.source_model import Arrays
from torchmann.interop.sources.released_ntm import SHIFTS, ReleasedNTM
from torchmann.models import NTM

FIELDS = {
    "key": "key_fc",
    "strength": "key_strength_fc",
    "gate": "interpolation_gate_fc",
    "shift": "shift_weighting_fc",
    "gamma": "sharpen_factor_fc",
    "add": "write_data_fc",
}
"""Our fields of a head, and what their maps are called there; only write heads use the last."""


class VlgiitrNTM(ReleasedNTM):
    """An NTM that starts from learned biases, but for the reads, which are drawn anew for each run."""

    source = "vlgiitr-ntm"
    defaults: ClassVar = {"sharpen_eps": 1e-16, "cosine_eps": 1e-8}

    def shapes(self) -> dict[str, Shape]:
        """An LSTM, three maps of initial values, the maps of the heads, an output layer."""
        inputs, outputs, hidden, slots, width, heads = (self.size(name) for name in ("I", "O", "H", "N", "M", "heads"))
        fields = {"key": width, "strength": 1, "gate": 1, "shift": SHIFTS, "gamma": 1, "add": width}
        maps = {
            "controller.out_net": (outputs, hidden + heads * width),
            "controller.h_bias_fc": (hidden, 1),
            "controller.c_bias_fc": (hidden, 1),
            "memory.memory_bias_fc": (slots * width, 1),
        }
        for head in range(2 * heads):
            for ours, theirs in self.fields(head).items():
                maps[f"heads.{head}.{theirs}"] = (fields[ours], hidden)
        return {
            "controller.controller_net.weight_ih": (4 * hidden, inputs + heads * width),
            "controller.controller_net.weight_hh": (4 * hidden, hidden),
            "controller.controller_net.bias_ih": (4 * hidden,),
            "controller.controller_net.bias_hh": (4 * hidden,),
            **{f"{name}.weight": shape for name, shape in maps.items()},
            **{f"{name}.bias": shape[:1] for name, shape in maps.items()},
        }

    def fields(self, head: int) -> dict[str, str]:
        """The fields of a head; those with an odd number write."""
        return {ours: theirs for ours, theirs in FIELDS.items() if head % 2 or ours != "add"}

    def build(self) -> NTM:
        """The bound is one of norms there, one of their squares here."""
        epsilon = self.constants["cosine_eps"] ** 2
        return self.ntm(head_input="c", erase="coupled", epsilon=epsilon, initial_memory="sigmoid")

    def parameters(self, source: Arrays) -> Arrays:
        """The maps of initial values see zeros, so that only their biases do anything."""
        lstm = "controller.controller_net."
        return {
            "cell.controller.weight_ih": source[f"{lstm}weight_ih"],
            "cell.controller.weight_hh": source[f"{lstm}weight_hh"],
            "cell.controller.bias": source[f"{lstm}bias_ih"] + source[f"{lstm}bias_hh"],
            "cell.controller.initial_h.weight": source["controller.h_bias_fc.bias"],
            "cell.controller.initial_c.weight": source["controller.c_bias_fc.bias"],
            "cell.memory.initial_memory.weight": source["memory.memory_bias_fc.bias"].view(self.size("N"), -1),
            "cell.interface.linear.weight": self.interface(source, "weight"),
            "cell.interface.linear.bias": self.interface(source, "bias"),
            "cell.readout.linear.weight": source["controller.out_net.weight"],
            "cell.readout.linear.bias": source["controller.out_net.bias"],
        }

    def head(self, source: Arrays, number: int, kind: str) -> Arrays:
        """A map for each field."""
        return {ours: source[f"heads.{number}.{theirs}.{kind}"] for ours, theirs in self.fields(number).items()}

    def controller_parts(self, controller: Any) -> Arrays:
        """``[B, H]`` each."""
        return {"h": controller.h, "c": controller.c}

    def controller_state(self, h: Tensor, c: Tensor) -> LSTMState:
        """The inverse."""
        return LSTMState(h, c)

    def import_state(self, arrays: Arrays, *, batch_size: int | None = None, noise: Arrays | None = None) -> Any:
        """As for any source; the reads before the first step may be called ``prev_read_<head>``, as they are there."""
        arrays = {name.removeprefix("prev_"): value for name, value in arrays.items()}
        return super().import_state(arrays, batch_size=batch_size, noise=noise)
