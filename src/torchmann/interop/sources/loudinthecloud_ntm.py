"""loudinthecloud/pytorch-ntm: an NTM with one map for each head, over one or several LSTM layers.

Sizes as in `ReleasedNTM`, and layers.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from torchmann.cells import LSTMState, StackedState
from torchmann.interop.arrays import Shape
from torchmann.interop.source_model import Arrays
from torchmann.interop.sources.released_ntm import SHIFTS, ReleasedNTM
from torchmann.models import NTM


class LoudInTheCloudNTM(ReleasedNTM):
    """An NTM whose memory and reads start from fixed numbers, which are no parameters."""

    source = "loudinthecloud-ntm"
    defaults: ClassVar = {"sharpen_eps": 1e-16, "cosine_shift": 1e-16}
    fixed = ("cosine_shift",)  # added to each entry, it is lost in rounding beside any entry but zero

    def shapes(self) -> dict[str, Shape]:
        """LSTM layers with their start, a map for each head, an output layer."""
        inputs, outputs, hidden, layers = (self.size(name) for name in ("I", "O", "H", "layers"))
        heads, reads = self.size("heads"), self.size("heads") * self.size("M")
        shapes: dict[str, Shape] = {f"ntm.controller.lstm_{name}_bias": (layers, 1, hidden) for name in ("h", "c")}
        for layer in range(layers):
            seen = hidden if layer else inputs + reads
            shapes[f"ntm.controller.lstm.weight_ih_l{layer}"] = (4 * hidden, seen)
            shapes[f"ntm.controller.lstm.weight_hh_l{layer}"] = (4 * hidden, hidden)
            shapes |= {f"ntm.controller.lstm.bias_{name}_l{layer}": (4 * hidden,) for name in ("ih", "hh")}
        maps = {"ntm.fc": (outputs, hidden + reads)}
        maps |= {self.map_of(head): (sum(self.fields(head).values()), hidden) for head in range(2 * heads)}
        shapes |= {f"{name}.weight": shape for name, shape in maps.items()}
        return shapes | {f"{name}.bias": shape[:1] for name, shape in maps.items()}

    def map_of(self, head: int) -> str:
        """What the map of a head is called; heads with an odd number write."""
        return f"ntm.heads.{head}.{'fc_write' if head % 2 else 'fc_read'}"

    def fields(self, head: int) -> dict[str, int]:
        """How many rows of its map each field of a head takes, in their order."""
        width = self.size("M")
        address = {"key": width, "strength": 1, "gate": 1, "shift": SHIFTS, "gamma": 1}
        return address | {"erase": width, "add": width} if head % 2 else address

    def build(self) -> NTM:
        """The similarity is that of torch, which bounds each norm at 1e-8."""
        layers = self.size("layers")
        return self.ntm(layers=layers, epsilon=1e-16, initial_memory="random", initial_reads="random")

    def parameters(self, source: Arrays) -> Arrays:
        """Layer by layer."""
        ours = {
            "cell.interface.linear.weight": self.interface(source, "weight"),
            "cell.interface.linear.bias": self.interface(source, "bias"),
            "cell.readout.linear.weight": source["ntm.fc.weight"],
            "cell.readout.linear.bias": source["ntm.fc.bias"],
        }
        lstm = "ntm.controller.lstm"
        for layer in range(self.size("layers")):
            cell = "cell.controller" if self.size("layers") == 1 else f"cell.controller.cells.{layer}"
            ours[f"{cell}.weight_ih"] = source[f"{lstm}.weight_ih_l{layer}"]
            ours[f"{cell}.weight_hh"] = source[f"{lstm}.weight_hh_l{layer}"]
            ours[f"{cell}.bias"] = source[f"{lstm}.bias_ih_l{layer}"] + source[f"{lstm}.bias_hh_l{layer}"]
            ours[f"{cell}.initial_h.weight"] = source[f"{lstm}_h_bias"][layer, 0]
            ours[f"{cell}.initial_c.weight"] = source[f"{lstm}_c_bias"][layer, 0]
        return ours

    def head(self, source: Arrays, number: int, kind: str) -> Arrays:
        """Its map cut into fields."""
        sizes = self.fields(number)
        rows = source[f"{self.map_of(number)}.{kind}"].split(list(sizes.values()))
        return dict(zip(sizes, rows, strict=True))

    def start(self, batch_size: int, noise: Arrays) -> Any:
        """Memory and reads are zero where they are not given: the parameters do not say what they were."""
        state = self.model.initial_state(batch_size)
        memory = state.memory._replace(memory=torch.zeros_like(state.memory.memory))
        return state._replace(memory=memory, reads=torch.zeros_like(state.reads))

    def controller_parts(self, controller: Any) -> Arrays:
        """``[B, layers, H]`` each."""
        layers = controller.layers if isinstance(controller, StackedState) else (controller,)
        return {name: torch.stack([getattr(layer, name) for layer in layers], dim=1) for name in ("h", "c")}

    def controller_state(self, h: Tensor, c: Tensor) -> LSTMState | StackedState:
        """The inverse."""
        layers = [LSTMState(*parts) for parts in zip(h.unbind(1), c.unbind(1), strict=True)]
        return layers[0] if len(layers) == 1 else StackedState(tuple(layers))
