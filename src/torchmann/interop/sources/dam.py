"""taewonpark/DAM: the distributed associative memory of its authors, in Sonnet.

Weights are ``[in, out]``. Sizes: I input, O output, H controller, K blocks, N slots, W width, R read heads. The option
``output_mlp`` lists the widths of ReLU layers before the output.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from torchmann.cells import LSTMState
from torchmann.cells.memory_augmented import MemoryAugmentedNoise
from torchmann.core.errors import DataError
from torchmann.interop.arrays import Shape
from torchmann.interop.source_model import Arrays, SourceModel, Trace
from torchmann.interop.sources.layouts import below, fused_lstm, limit, linear_shapes, under
from torchmann.memories import DistributedState, DNCState
from torchmann.models import DAM

FIELDS = (
    "read_key",
    "read_strength",
    "write_key",
    "write_strength",
    "erase",
    "write_vector",
    "free_gate",
    "allocation_gate",
    "write_gate",
)
"""The fields of a block's interface in our order."""
BLOCKS = ("memory", "usage", "write_weights", "read_weights")
"""What the blocks carry, there and here."""


class ReleasedDAM(SourceModel):
    """A DAM whose blocks keep read weightings multiplied by the attentive gate."""

    source = "dam"
    defaults: ClassVar = {
        "epsilon": 1e-6,
        "layer_norm_eps": 1e-6,
        "clip_value": 0.0,
        "forget_bias": 1.0,
        "keep_prob": 1.0,
    }
    fixed = ("epsilon", "layer_norm_eps")
    noises = ("dropout_mask",)
    slot_axes: ClassVar = {"memory": (3,), "usage": (3,), "write_weights": (4,), "read_weights": (4,)}

    def shapes(self) -> dict[str, Shape]:
        """A normalised LSTM, one interface of all blocks, ReLU layers, an output layer."""
        inputs, outputs, hidden, blocks = (self.size(name) for name in ("I", "O", "H", "K"))
        reads = self.size("R") * self.size("W")
        interface = blocks * (sum(self.columns().values()) + self.size("R"))
        shapes = linear_shapes("DAM/lstm", inputs + reads + hidden, 4 * hidden, "w_gates", "b_gates")
        shapes |= {"DAM/layer_norm/scale": (hidden,), "DAM/layer_norm/beta": (hidden,)}
        shapes |= linear_shapes("DAM/memory_access/interface_vector", hidden, interface, "kernel", "bias")
        width = hidden + reads
        for number, layer in enumerate(self.layers()):
            shapes |= linear_shapes(f"DAM/projection_{number}", width, layer, "kernel", "bias")
            width = layer
        return shapes | linear_shapes("DAM/output_linear", width, outputs)

    def columns(self) -> dict[str, int]:
        """How many columns of the interface each field of a block takes, in their order."""
        width, reads = self.size("W"), self.size("R")
        return {
            "write_vector": width,
            "erase": width,
            "free_gate": reads,
            "allocation_gate": 1,
            "write_gate": 1,
            "write_key": width,
            "write_strength": 1,
            "read_key": reads * width,
            "read_strength": reads,
        }

    def layers(self) -> list[int]:
        """Widths of the ReLU layers."""
        widths = self.option("output_mlp")
        if not isinstance(widths, list) or not all(isinstance(width, int) and width > 0 for width in widths):
            raise DataError(f"option 'output_mlp' of dam must be a list of widths, got {widths!r}.")
        return widths

    @property
    def unused(self) -> Sequence[str]:
        """The gate of before the first step."""
        return ("attentive_gate",)

    def build(self) -> DAM:
        """As released, with the limit of controller and output."""
        if not 0 < self.constants["keep_prob"] <= 1:
            raise DataError(f"constant 'keep_prob' of dam must be in (0, 1], got {self.constants['keep_prob']:g}.")
        return DAM(
            self.size("I"),
            self.size("H"),
            slots=self.size("N"),
            width=self.size("W"),
            blocks=self.size("K"),
            reads=self.size("R"),
            output_size=self.size("O"),
            preset="released",
            output_layers=self.layers(),
            bypass_dropout=1 - self.constants["keep_prob"],
            clip=limit(self.constants["clip_value"]),
        )

    def parameters(self, source: Arrays) -> Arrays:
        """The interface block by block."""
        source = below(source, "DAM")
        controller = fused_lstm(source["lstm/w_gates"], source["lstm/b_gates"], self.constants["forget_bias"])
        layers = {}
        for number in range(len(self.layers())):
            layers[f"{number}.weight"] = source[f"projection_{number}/kernel"].T
            layers[f"{number}.bias"] = source[f"projection_{number}/bias"]
        return {
            **under("cell.controller.controller", controller),
            "cell.controller.norm.weight": source["layer_norm/scale"],
            "cell.controller.norm.bias": source["layer_norm/beta"],
            "cell.interface.linear.weight": self.block_by_block(source["memory_access/interface_vector/kernel"]).T,
            "cell.interface.linear.bias": self.block_by_block(source["memory_access/interface_vector/bias"]),
            **under("cell.readout.layers", layers),
            "cell.readout.linear.weight": source["output_linear/w"].T,
            "cell.readout.linear.bias": source["output_linear/b"],
        }

    def block_by_block(self, interface: Tensor) -> Tensor:
        """The last axis, where each field has all blocks, with all fields for each block; then the gate."""
        blocks, columns = self.size("K"), self.columns()
        sizes = [blocks * size for size in columns.values()]
        *fields, gate = interface.split([*sizes, blocks * self.size("R")], dim=-1)
        named = {name: field.unflatten(-1, (blocks, -1)) for name, field in zip(columns, fields, strict=True)}
        return torch.cat([torch.cat([named[name] for name in FIELDS], dim=-1).flatten(-2), gate], dim=-1)

    def noise(self, noise: Arrays) -> Any:
        """The mask of the way around the memory.

        Raises:
            DataError: there is dropout without a mask, or a mask without dropout.
        """
        keep, mask = self.constants["keep_prob"], noise.get("dropout_mask")
        if (keep < 1) != (mask is not None):
            raise DataError(f"dam with keep_prob = {keep:g} {'needs' if keep < 1 else 'takes no'} noise/dropout_mask.")
        return None if mask is None else MemoryAugmentedNoise(kept=mask.to(self.dtype))

    def observed(self, trace: Trace) -> Arrays:
        """The states, and the gate that mixed the blocks."""
        return trace.states() | {"attentive_gate": trace["memory.attentive_gate"].unsqueeze(-1)}

    def exported(self, state: Any) -> Arrays:
        """As ours but for the reads, which are one row for each head there."""
        return {
            "access_output": state.reads.unflatten(-1, (self.size("R"), self.size("W"))),
            **{name: getattr(state.memory.blocks, name) for name in BLOCKS},
            "controller_h": state.controller.h,
            "controller_c": state.controller.c,
        }

    def imported(self, arrays: Arrays, state: Any) -> Any:
        """The inverse of `exported`; there are no links."""
        blocks = DNCState(**{name: arrays[name] for name in BLOCKS}, precedence=(), link=())
        return state._replace(
            controller=LSTMState(arrays["controller_h"], arrays["controller_c"]),
            memory=DistributedState(blocks),
            reads=arrays["access_output"].flatten(1),
        )
