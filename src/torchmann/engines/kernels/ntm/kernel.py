"""The kernel of a controller with an NTM memory: what of a cell it needs to know, or why it cannot run it.

Shapes: B batch, H hidden, R read heads, V write heads, K levels, N slots, W width, S shift taps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from torchmann.cells import LayeredInterface, LinearInterface, MemoryAugmentedCell, Stacked
from torchmann.core.cell import Cell
from torchmann.core.errors import OptionError
from torchmann.engines.kernels import controllers
from torchmann.engines.kernels.kernel import Form, Shapes, Unsupported, refuse_hooks
from torchmann.functional.activations import identity
from torchmann.memories import NTMMemory, StructuredNTMMemory

MOST_LAYERS, MOST_HEADS = 4, 8
"""Of the controller, and heads of a kind."""

ORDERS = ("read_first", "write_first", "interleaved")
SOURCES = ("output", "h", "c")
"""What the interface may be made of: the controller's output, which is h here, or its cell vector."""

_LAYERS = range(MOST_LAYERS)


class NTMKernel(controllers.MemoryAugmentedKernel):
    """A `MemoryAugmentedCell` with an `NTMMemory` or a `StructuredNTMMemory`."""

    name = "ntm"
    sizes = ("hidden", "layers", "slots", "width", "reads", "writes", "levels", "written", "taps")
    options = (*controllers.OPTIONS, "feedback", "order", "coupled", "tanh_keys", "structured", "layered", "from_cell")
    limits = (*controllers.LIMITS, *controllers.SIMILARITY_LIMITS, "sharpening_epsilon")
    leaves = (
        *(f"{layer}.{name}" for name in "hc" for layer in _LAYERS),
        *("reads", "memory", "read_weights", "write_weights"),
    )
    weights = (
        *(f"{layer}.{name}" for layer in _LAYERS for name in controllers.WEIGHTS),
        "mixing",
        *(name for number in range(1 + MOST_LAYERS) for name in (f"map{number}", f"map{number}_bias")),
    )

    def takes(self, cell: Cell) -> bool:
        """Cells with such a memory."""
        return isinstance(getattr(cell, "memory", None), NTMMemory)

    def form_of(self, cell: Any) -> tuple[Form, list[Tensor]]:
        """The form of a cell, and its weights in the form's order."""
        if type(cell) is not MemoryAugmentedCell:
            raise Unsupported(f"it runs a MemoryAugmentedCell with an NTM memory, not a {type(cell).__name__}")
        if cell.attention is not None:
            raise Unsupported("it has no cached writing")
        refuse_hooks(cell.controller, cell.memory, cell.interface)
        numbers, limits, weights = _controllers(cell.controller)
        memory: Any = cell.memory
        numbers |= _memory_numbers(memory)
        maps, source = _maps(cell.interface)
        if source == "c" and numbers["layers"] > 1:
            raise Unsupported("heads that see the controller's cell vector need a controller of one layer")
        numbers |= {"feedback": cell.feedback, "layered": len(maps) > 1, "from_cell": source == "c"}
        for number, linear in enumerate(maps):
            weights |= {f"map{number}": linear.weight, f"map{number}_bias": linear.bias}
        weights["mixing"] = getattr(memory, "mixing", None)
        limits |= controllers.similarity_limits(memory.similarity, memory.width)
        limits["sharpening_epsilon"] = memory.sharpening_epsilon
        return self.form(numbers, limits, weights)

    def leaf_shapes(self, form: Form) -> Shapes:
        """Those of the controller's layers, the reads and the memory."""
        number = self._numbers(form)
        names = "hc" if controllers.has_cell(number["controller"]) else "h"
        shapes: Shapes = {f"{layer}.{name}": (number["hidden"],) for name in names for layer in range(number["layers"])}
        levels = (number["levels"],) if number["structured"] else ()
        slots = number["slots"]
        return shapes | {
            "reads": (number["reads"] * number["width"],),
            "memory": (*levels, slots, number["width"]),
            "read_weights": (number["reads"], slots),
            "write_weights": (number["written"], slots),
        }

    def weight_shapes(self, form: Form, input_size: int) -> Shapes:
        """Those of the controller's layers, of the mixture of levels, and of the maps to the interface."""
        number = self._numbers(form)
        hidden, width, taps = number["hidden"], number["width"], number["taps"]
        shapes: Shapes = {"mixing": (2,)}
        for layer in range(number["layers"]):
            fed_back = number["reads"] * width if number["feedback"] else 0
            seen = hidden if layer else input_size + fed_back
            own = controllers.controller_shapes(number["controller"], seen, hidden)
            shapes |= {f"{layer}.{name}": shape for name, shape in own.items()}
        read = number["reads"] * (width + taps + 3)
        write = (2 if number["coupled"] else 3) * width + taps + 3  # of one head
        maps = [read, *[write] * number["layers"]] if number["layered"] else [read + number["writes"] * write]
        for place, size in enumerate(maps):
            shapes |= {f"map{place}": (size, hidden), f"map{place}_bias": (size,)}
        return shapes

    def output_shapes(self, form: Form) -> Shapes:
        """The controller's output and the reads."""
        number = self._numbers(form)
        return {"output": (number["hidden"],), "reads": (number["reads"] * number["width"],)}

    def check(self, form: Form) -> None:
        """Refuse a form that is none of a cell."""
        number = self._numbers(form)
        layers, heads, writes, written = number["layers"], number["reads"], number["writes"], number["written"]
        maps = 1 + min(layers, MOST_LAYERS) * number["layered"]
        if number["structured"]:
            levels = writes in (1, written) and written <= number["levels"] and "mixing" in form.weights
            levels = levels and number["order"] == ORDERS.index("write_first")
        else:
            levels = writes == written and number["levels"] == 1
        known = (
            levels,
            layers <= MOST_LAYERS and max(heads, writes, written) <= MOST_HEADS,
            all(controllers.whole(number["controller"], form.weights, f"{layer}.") for layer in range(layers)),
            {f"map{place}" for place in range(maps)} <= {*form.weights},
            writes == layers or not number["layered"],
            not number["from_cell"] or (layers == maps == 1 and controllers.has_cell(number["controller"])),
            number["order"] in range(len(ORDERS)) and number["taps"] % 2 == 1,
            all(number[name] in (0, 1) for name in self.options if name not in ("controller", "order")),
        )
        if not all(known):
            raise OptionError(f"the form {tuple(form)} is none of a cell: make it with form_of(cell).")

    def leaves_of(self, form: Form, state: Any) -> list[Tensor]:
        """The leaves of a state in the form's order."""
        layers = state.controller.layers if hasattr(state.controller, "layers") else (state.controller,)
        of = {f"{layer}.{name}": leaf for layer, own in enumerate(layers) for name, leaf in own._asdict().items()}
        of |= {"reads": state.reads, **state.memory._asdict()}
        return [of[name] for name in self.leaf_shapes(form)]

    def state_from(self, form: Form, state: Any, leaves: Sequence[Tensor]) -> Any:
        """A state like `state` with these leaves."""
        new = dict(zip(self.leaf_shapes(form), leaves, strict=True))
        stacked = hasattr(state.controller, "layers")
        layers = tuple(
            own._replace(**{name: new[f"{layer}.{name}"] for name in own._fields})
            for layer, own in enumerate(state.controller.layers if stacked else (state.controller,))
        )
        return state._replace(
            controller=state.controller._replace(layers=layers) if stacked else layers[0],
            memory=state.memory._replace(**{name: new[name] for name in state.memory._fields}),
            reads=new["reads"],
        )

    def _numbers(self, form: Form) -> dict[str, int]:
        return dict(zip((*self.sizes, *self.options), form.numbers, strict=True))


def _controllers(controller: Any) -> tuple[dict[str, int], dict[str, float], dict[str, Tensor | None]]:
    """Numbers, limits and weights of a controller, whose layers must be alike."""
    layers: list[Any] = list(controller.cells) if type(controller) is Stacked else [controller]
    if len(layers) > MOST_LAYERS:
        raise Unsupported(f"it has at most {MOST_LAYERS} layers, not {len(layers)}")
    refuse_hooks(*layers)
    options, limits, weights = controllers.controller_form(layers[0])
    named = {f"0.{name}": weight for name, weight in weights.items()}
    for number, layer in enumerate(layers[1:], start=1):
        own_options, own_limits, weights = controllers.controller_form(layer)
        if (own_options, own_limits, layer.output_size) != (options, limits, layers[0].output_size):
            raise Unsupported("the layers of its controller are alike")
        named |= {f"{number}.{name}": weight for name, weight in weights.items()}
    return options | {"hidden": controller.output_size, "layers": len(layers)}, limits, named


def _maps(interface: Any) -> tuple[list[Any], str]:
    """The affine maps from the controller to the interface, and the feature that they take."""
    if type(interface) is LayeredInterface:
        return [interface.to_read_heads, *interface.to_write_head], "output"
    if type(interface) is not LinearInterface or interface.source not in SOURCES or interface.clip is not None:
        raise Unsupported("it needs a LayeredInterface or an unlimited LinearInterface from the controller's h or c")
    return [interface.linear], interface.source


def _memory_numbers(memory: Any) -> dict[str, int]:
    """Sizes and options of a memory."""
    if type(memory) not in (NTMMemory, StructuredNTMMemory):
        raise Unsupported(f"its memories are NTMMemory and StructuredNTMMemory, not {type(memory).__name__}")
    structured = type(memory) is StructuredNTMMemory
    written = memory.written_levels if structured else memory.writes
    if max(memory.reads, memory.writes, written) > MOST_HEADS:
        raise Unsupported(f"it has at most {MOST_HEADS} heads of a kind")
    if memory.key_activation not in (identity, Tensor.tanh):
        raise Unsupported("it knows the key activations none and tanh")
    return {
        "slots": memory.slots,
        "width": memory.width,
        "reads": memory.reads,
        "writes": memory.writes,
        "levels": memory.levels if structured else 1,
        "written": written,
        "taps": memory.read_fields["read_shift"][1],
        "order": ORDERS.index(memory.order),
        "coupled": "write_erase" not in memory.write_fields,
        "tanh_keys": memory.key_activation is not identity,
        "structured": structured,
    }
