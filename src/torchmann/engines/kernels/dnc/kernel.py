"""The kernel of a controller with a DNC memory: what of a cell it needs to know, or why it cannot run it.

Shapes: B batch, H hidden, R read heads, N slots, W width, K blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from torchmann.cells import LinearInterface, MemoryAugmentedCell, Normalised
from torchmann.core.cell import Cell
from torchmann.core.errors import OptionError
from torchmann.engines.kernels import controllers
from torchmann.engines.kernels.kernel import Form, Shapes, Unsupported, refuse_hooks
from torchmann.functional import oneplus
from torchmann.functional.activations import identity
from torchmann.memories import Distributed, DNCMemory

INTERVAL = 4
"""Writes between two snapshots of memory and links: the backward makes those in between anew, in cache."""


class DNCKernel(controllers.MemoryAugmentedKernel):
    """A `MemoryAugmentedCell` with a `DNCMemory`, or with a `Distributed` one of it."""

    name = "dnc"
    sizes = ("hidden", "heads", "slots", "width", "blocks", "interval")
    options = (
        *controllers.OPTIONS,
        "output_norm",
        "feedback",
        "links",
        "softmax_allocation",
        "oneplus",
        "tanh_keys",
        "usage_gradient",
        "gated",
    )
    limits = (
        *controllers.LIMITS,
        "clip_interface",
        "output_norm_epsilon",
        *controllers.SIMILARITY_LIMITS,
        "usage_floor",
    )
    leaves = ("h", "c", "reads", "memory", "usage", "write_weights", "read_weights", "precedence", "link")
    weights = (*controllers.WEIGHTS, "norm_gain", "norm_shift", "interface", "interface_bias")

    def takes(self, cell: Cell) -> bool:
        """Cells with such a memory."""
        memory = getattr(cell, "memory", None)
        return isinstance(memory, DNCMemory | Distributed)

    def form_of(self, cell: Any) -> tuple[Form, list[Tensor]]:
        """The form of a cell, and its weights in the form's order."""
        if type(cell) is not MemoryAugmentedCell:
            raise Unsupported(f"it runs a MemoryAugmentedCell with a DNC memory, not a {type(cell).__name__}")
        if cell.attention is not None:
            raise Unsupported("it has no cached writing")
        if type(cell.interface) is not LinearInterface or cell.interface.source != "output":
            raise Unsupported("it needs a LinearInterface from the controller's output")
        refuse_hooks(cell.controller, cell.memory, cell.interface)
        normalised = cell.controller if type(cell.controller) is Normalised else None
        controller: Any = cell.controller if normalised is None else normalised.controller
        whole: Any = cell.memory
        memory: Any = whole.block.memory if type(whole) is Distributed else whole
        numbers, limits, weights = controllers.controller_form(controller)
        numbers |= _memory_options(whole, memory)
        numbers |= {"output_norm": normalised is not None, "feedback": cell.feedback}
        numbers |= {"hidden": controller.output_size, "heads": memory.reads, "slots": memory.slots}
        numbers |= {"width": memory.width, "blocks": 1 if memory is whole else whole.blocks, "interval": INTERVAL}
        limits |= {
            "clip_interface": cell.interface.clip or 0.0,
            "usage_floor": memory.usage_floor,
            **controllers.similarity_limits(memory.similarity, memory.width),
        }
        if normalised is not None:
            limits["output_norm_epsilon"] = normalised.norm.eps
            weights |= {"norm_gain": normalised.norm.weight, "norm_shift": normalised.norm.bias}
        weights |= {"interface": cell.interface.linear.weight, "interface_bias": cell.interface.linear.bias}
        return self.form(numbers, limits, weights)

    def leaf_shapes(self, form: Form) -> Shapes:
        """Those of the controller, the reads and the memory."""
        number = dict(zip((*self.sizes, *self.options), form.numbers, strict=True))
        block = (number["blocks"],) if number["gated"] else ()
        hidden, heads, slots, width = number["hidden"], number["heads"], number["slots"], number["width"]
        shapes: Shapes = {"h": (hidden,)}
        if controllers.has_cell(number["controller"]):
            shapes["c"] = (hidden,)
        shapes |= {"reads": (heads * width,), "memory": (*block, slots, width), "usage": (*block, slots)}
        shapes |= {"write_weights": (*block, 1, slots), "read_weights": (*block, heads, slots)}
        if number["links"]:
            shapes |= {"precedence": (*block, 1, slots), "link": (*block, 1, slots, slots)}
        return shapes

    def weight_shapes(self, form: Form, input_size: int) -> Shapes:
        """Those of the controller and of the interface."""
        number = dict(zip((*self.sizes, *self.options), form.numbers, strict=True))
        hidden, heads, width = number["hidden"], number["heads"], number["width"]
        seen = input_size + (heads * width if number["feedback"] else 0)
        fields = (heads + 3) * width + 2 * heads + 3  # keys, erase and write vector; strengths, free gates; other gates
        fields += 3 * heads * number["links"] + number["softmax_allocation"]
        interface = number["blocks"] * (fields + heads * number["gated"])
        shapes = controllers.controller_shapes(number["controller"], seen, hidden)
        shapes |= {"norm_gain": (hidden,), "norm_shift": (hidden,)}
        return shapes | {"interface": (interface, hidden), "interface_bias": (interface,)}

    def output_shapes(self, form: Form) -> Shapes:
        """The controller's output and the reads."""
        reads = self.number(form, "heads") * self.number(form, "width")
        return {"output": (self.number(form, "hidden"),), "reads": (reads,)}

    def check(self, form: Form) -> None:
        """Refuse a form that is none of a cell."""
        number = dict(zip((*self.sizes, *self.options), form.numbers, strict=True))
        known = controllers.whole(number["controller"], form.weights) and "interface" in form.weights
        known = known and (not number["output_norm"] or {"norm_gain", "norm_shift"} <= {*form.weights})
        flags = (number[name] for name in self.options if name != "controller")
        if not known or any(flag not in (0, 1) for flag in flags) or (number["blocks"] > 1 and not number["gated"]):
            raise OptionError(f"the form {tuple(form)} is none of a cell: make it with form_of(cell).")

    def leaves_of(self, form: Form, state: Any) -> list[Tensor]:
        """The leaves of a state in the form's order."""
        memory = state.memory.blocks if hasattr(state.memory, "blocks") else state.memory
        of = {"reads": state.reads, "h": state.controller.h, "c": getattr(state.controller, "c", None)}
        return [of[name] if name in of else getattr(memory, name) for name in self.leaf_shapes(form)]

    def without_unused_gradient(self, form: Form, leaves: list[Tensor]) -> list[Tensor]:
        """A sequence that writes at its first step sees the last write weighting in the usage alone."""
        if self.number(form, "usage_gradient"):
            return leaves
        names = self.leaf_shapes(form)
        return [leaf.detach() if name == "write_weights" else leaf for name, leaf in zip(names, leaves, strict=True)]

    def state_from(self, form: Form, state: Any, leaves: Sequence[Tensor]) -> Any:
        """A state like `state` with these leaves."""
        new = dict(zip(self.leaf_shapes(form), leaves, strict=True))
        controller = state.controller._replace(**{name: new[name] for name in state.controller._fields})
        memory = state.memory.blocks if hasattr(state.memory, "blocks") else state.memory
        memory = memory._replace(**{name: new[name] for name in memory._fields if name in new})
        if hasattr(state.memory, "blocks"):
            memory = state.memory._replace(blocks=memory)
        return state._replace(controller=controller, memory=memory, reads=new["reads"])


def _memory_options(whole: nn.Module, memory: Any) -> dict[str, int]:
    """Options of a memory, which may be a block of a distributed one."""
    if type(memory) is not DNCMemory:
        raise Unsupported(f"its memories are DNCMemory and Distributed ones of it, not {type(memory).__name__}")
    if type(whole) is Distributed and whole.gated_retention:
        raise Unsupported("it has no gated_retention")
    if memory.writes != 1:
        raise Unsupported(f"it has one write head, not {memory.writes}")
    if memory.strength not in (oneplus, F.softplus) or memory.key_activation not in (identity, Tensor.tanh):
        raise Unsupported("it knows the strengths oneplus and softplus, and the key activations none and tanh")
    if memory.read_mode_axis != -1:
        raise Unsupported("it takes the softmax of the read modes over the modes")
    return {
        "links": memory.links,
        "softmax_allocation": memory.allocation_rule == "softmax",
        "oneplus": memory.strength is oneplus,
        "tanh_keys": memory.key_activation is not identity,
        "usage_gradient": memory.usage_gradient,
        "gated": type(whole) is Distributed,
    }
