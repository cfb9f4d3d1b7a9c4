"""RobertCsordas/dnc: a DNC whose controller's layers all see the input and are all seen by the output.

Weights are ``[out, in]``. Sizes: I input, O output, H controller (of one layer; the widths of several are those of
their arrays), N slots, W width, R read heads. Masked look-up, de-allocation of content and control of the links'
sharpness are not supported yet.
"""

from __future__ import annotations

from math import isclose
from typing import Any, ClassVar

import torch
from torch import Tensor

from torchmann.cells import LinearInterface, LSTMCell, LSTMState, MemoryAugmentedCell, SkipStacked, StackedState
from torchmann.core.errors import DataError
from torchmann.engines import Recurrent
from torchmann.interop.arrays import Shape
from torchmann.interop.source_model import Arrays, SourceModel, Trace
from torchmann.interop.sources.layouts import limit
from torchmann.memories import DNCMemory, DNCState

UNSUPPORTED = ("mask", "dealloc_content", "link_sharpness_control")
"""Options that change the equations."""

RECORDED = {
    "free_gates": "free_gate",
    "write_betas": "write_strength",
    "write_gate": "write_gate",
    "alloc_gate": "allocation_gate",
    "read_content_keys": "read_key",
    "balance": "read_mode",
    "content_dist": "content_weights",
}
"""What is recorded there beside the states, and what it is called here."""

RECORDED_OF_ONE_WRITE_HEAD = {"alloc_dist": "allocation", "write_vector": "write_vector", "erase_vector": "erase"}
"""Likewise, where ours has an axis of write heads before the last."""


class CsordasDNC(SourceModel):
    """A DNC with one map from the controller to all controls, and two to the output: from controller and reads.

    The source leaves the usage at zero in the first step. So does its update here, since nothing was written before.
    """

    source = "csordas-dnc"
    defaults: ClassVar = {"epsilon": 1e-6, "clip_controls": 20.0, "mask_min": 0.0, "forget_bias": 0.0}
    slot_axes: ClassVar = {
        "link": (2, 3),
        **dict.fromkeys(("memory", "precedence", "precedence_weights", "alloc_dist", "write_dist", "mem_usages"), (2,)),
        **dict.fromkeys(("content_dist", "read_dist", "forward_dists", "backward_dists"), (3,)),
    }

    def shapes(self) -> dict[str, Shape]:
        """Controller layers, a map to the controls, two maps to the output."""
        for name in UNSUPPORTED:
            if self.options.get(name):
                raise DataError(f"option {name!r} of {self.source} is not supported yet: record the case without it.")
        inputs, outputs, reads = self.size("I"), self.size("O"), self.size("R") * self.size("W")
        widths = self.layers()
        shapes: dict[str, Shape] = {}
        for layer, hidden in enumerate(widths):
            shapes[f"controller.in_to_all_{layer}.weight"] = (4 * hidden, inputs + reads)
            shapes[f"controller.in_to_all_{layer}.bias"] = (4 * hidden,)
            shapes[f"controller.out_to_all_{layer}.weight"] = (4 * hidden, hidden)
            if layer:
                shapes[f"controller.prev_to_all_{layer - 1}.weight"] = (4 * hidden, widths[layer - 1])
        maps = {
            "controller_to_controls": (sum(self.controls().values()), sum(widths)),
            "controller_to_out": (outputs, sum(widths)),
            "read_to_out": (outputs, reads),
        }
        shapes |= {f"{name}.weight": shape for name, shape in maps.items()}
        return shapes | {f"{name}.bias": shape[:1] for name, shape in maps.items()}

    def layers(self) -> list[int]:
        """Widths of the controller's layers."""
        widths: list[int] = []
        while (name := f"controller.in_to_all_{len(widths)}.weight") in self.given:
            widths.append(self.given[name].shape[:1].numel() // 4)
        return widths if len(widths) > 1 else [self.size("H")]

    def controls(self) -> dict[str, int]:
        """How many rows of the controls each of our fields takes, in their order."""
        width, reads = self.size("W"), self.size("R")
        return {
            "write_key": width,
            "erase": width,
            "write_vector": width,
            "free_gate": reads,
            "write_strength": 1,
            "allocation_gate": 1,
            "write_gate": 1,
            "read_key": reads * width,
            "read_strength": reads,
            "read_mode": reads * 3,
        }

    def build(self) -> Recurrent:
        """One epsilon serves the similarity and the allocation."""
        epsilon = self.constants["epsilon"]
        sizes = (self.size("N"), self.size("W"))
        similarity = "cosine_product"
        memory = DNCMemory(*sizes, reads=self.size("R"), similarity=similarity, epsilon=epsilon, usage_floor=epsilon)
        widths = self.layers()
        seen = self.size("I") + memory.read_size
        cells = [LSTMCell(seen + below, hidden) for below, hidden in zip([0, *widths], widths, strict=False)]
        controller = SkipStacked(cells)
        interface = LinearInterface(controller, memory, clip=self.clip())
        return Recurrent(MemoryAugmentedCell(controller, memory, interface=interface, output_size=self.size("O")))

    def clip(self) -> float | None:
        """Limit of the controls: a constant, which the options may repeat.

        Raises:
            DataError: they say something else.
        """
        clip = self.constants["clip_controls"]
        repeated = self.options.get("clip_controller", clip) or 0.0
        if not isclose(repeated, clip, rel_tol=1e-4):
            raise DataError(
                f"{self.source} has clip_controls = {clip:g}, but option 'clip_controller' is {repeated:g}."
            )
        return limit(clip)

    def parameters(self, source: Arrays) -> Arrays:
        """Layer by layer; the controls in our order; one map to the output in place of two."""
        ours = {}
        for layer in range(len(self.layers())):
            seen = [source[f"controller.in_to_all_{layer}.weight"]]
            if layer:
                seen.append(source[f"controller.prev_to_all_{layer - 1}.weight"])
            cell = f"cell.controller.cells.{layer}"
            ours[f"{cell}.weight_ih"] = gates(torch.cat(seen, dim=1))
            ours[f"{cell}.weight_hh"] = gates(source[f"controller.out_to_all_{layer}.weight"])
            ours[f"{cell}.bias"] = gates(source[f"controller.in_to_all_{layer}.bias"], self.constants["forget_bias"])
        sizes = self.controls()
        memory: Any = self.model.cell.memory
        for kind in ("weight", "bias"):
            rows = source[f"controller_to_controls.{kind}"].split(list(sizes.values()))
            named = dict(zip(sizes, rows, strict=True))
            ours[f"cell.interface.linear.{kind}"] = torch.cat([named[name] for name in memory.fields])
        maps = ("controller_to_out", "read_to_out")
        ours["cell.readout.linear.weight"] = torch.cat([source[f"{name}.weight"] for name in maps], dim=1)
        ours["cell.readout.linear.bias"] = source["controller_to_out.bias"] + source["read_to_out.bias"]
        return ours

    def observed(self, trace: Trace) -> Arrays:
        """The states, and what the heads did."""
        states = trace.states()
        return {
            **states,
            **{theirs: trace[f"memory.{ours}"] for theirs, ours in RECORDED.items()},
            **{theirs: trace[f"memory.{ours}"].squeeze(2) for theirs, ours in RECORDED_OF_ONE_WRITE_HEAD.items()},
            "precedence_weights": states["precedence"],
            "read_betas": trace["memory.read_strength"].unsqueeze(2),
            "forward_dists": trace["memory.forward_weights"].squeeze(3),
            "backward_dists": trace["memory.backward_weights"].squeeze(3),
        }

    def exported(self, state: Any) -> Arrays:
        """Vectors of all controller layers side by side; no axis of write heads; reads head by head."""
        layers, memory = state.controller.layers, state.memory
        return {
            "h": torch.cat([layer.h for layer in layers], dim=-1),
            "c": torch.cat([layer.c for layer in layers], dim=-1),
            "memory": memory.memory,
            "mem_usages": memory.usage,
            "write_dist": memory.write_weights[:, 0],
            "read_dist": memory.read_weights,
            "precedence": memory.precedence[:, 0],
            "link": memory.link[:, 0],
            "read_data": state.reads.unflatten(-1, (self.size("R"), self.size("W"))),
        }

    def imported(self, arrays: Arrays, state: Any) -> Any:
        """The inverse of `exported`."""
        layers = zip(*(arrays[name].split(self.layers(), dim=-1) for name in ("h", "c")), strict=True)
        memory = DNCState(
            memory=arrays["memory"],
            usage=arrays["mem_usages"],
            write_weights=arrays["write_dist"].unsqueeze(1),
            read_weights=arrays["read_dist"],
            precedence=arrays["precedence"].unsqueeze(1),
            link=arrays["link"].unsqueeze(1),
        )
        controller = StackedState(tuple(LSTMState(h, c) for h, c in layers))
        return state._replace(controller=controller, memory=memory, reads=arrays["read_data"].flatten(1))


def gates(rows: Tensor, forget_bias: float = 0.0) -> Tensor:
    """Rows of forget, input, output gate and candidate in our order: input, forget, candidate, output."""
    f, i, o, g = rows.chunk(4)
    return torch.cat([i, f + forget_bias, g, o])
