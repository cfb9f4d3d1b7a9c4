"""The kernel of ARMIN, AwTA and TARDIS: what of a cell it needs to know, or why it cannot run it.

Shapes: B batch, I input, H hidden, N slots, W width, D reads, Q comparison.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from torchmann.cells import ARMINCell, HalfInterface, ReadFirstCell, TARDISCell, Zoneout
from torchmann.core.cell import Cell
from torchmann.core.errors import OptionError
from torchmann.core.precision import without_autocast
from torchmann.core.state import Tree
from torchmann.engines.kernels.controllers import MemoryAugmentedKernel
from torchmann.engines.kernels.kernel import Form, Shapes, Unsupported, refuse_hooks
from torchmann.memories import AutoAddressing, SlotHistory, TardisAddressing

Parts = tuple[dict[str, Any], dict[str, float], dict[str, Any]]
"""Sizes and options, limits, and weights of a part of a cell, by name."""
NORMALISATIONS = ("none", "l2", "layer_norm")


class ARMINKernel(MemoryAugmentedKernel):
    """A `ReadFirstCell` with a `SlotHistory` around an `ARMINCell` or a `TARDISCell`, in a `Zoneout` or not."""

    name = "armin"
    sizes = ("hidden", "slots", "width")
    options = (
        *("tardis", "layer_norm", "squash_state", "squash_reads", "output_reads", "zoned_output"),
        *("by_cell", "entry_from_input", "query", "key", "one_hot"),
        *("penalty_gradient", "penalise_first", "normalisation"),
    )
    limits = ("gate_temperature", "penalty", "keep_h", "keep_c")
    weights = (
        *("address", "address_bias", "first", "first_bias", "second", "second_bias", "entry", "entry_bias", "shown"),
        *("gain", "shift", "peephole", "keyed", "score", "norm_gain", "norm_shift", "keys", "temperature"),
    )
    noise = ("address", "gates", "kept_h", "kept_c")
    leaves = ("h", "c", "reads", "memory", "read_weights", "filled", "usage")

    def takes(self, cell: Cell) -> bool:
        """Cells with such a memory."""
        return isinstance(getattr(cell, "memory", None), SlotHistory)

    def form_of(self, cell: Any) -> tuple[Form, list[Tensor]]:
        """The form of a cell, and its weights in the form's order; some are made of several parameters."""
        if type(cell) is not ReadFirstCell or type(cell.memory) is not SlotHistory:
            raise Unsupported(f"it runs a ReadFirstCell with a SlotHistory, not a {type(cell).__name__}")
        if cell.attention is not None:
            raise Unsupported("it has no cached writing")
        if not cell.feedback or getattr(_unzoned(cell.controller), "read_size", None) != cell.memory.read_size:
            raise Unsupported("its controllers are those that see and gate all that is read")
        refuse_hooks(cell.controller, _unzoned(cell.controller), cell.memory, cell.memory.addressing)
        refuse_hooks(cell.address, cell.entry)
        with without_autocast("cpu"):
            parts = _controller(cell.controller), _interfaces(cell), _addressing(cell.memory)
        numbers, limits, weights = (
            {name: value for part in kind for name, value in part.items()} for kind in zip(*parts, strict=True)
        )
        if "from_usage" in weights:  # the address is made from the usage, too
            weights["address"] = torch.cat([weights["address"], weights.pop("from_usage")], dim=1)
        numbers |= {"hidden": _unzoned(cell.controller).hidden_size, "slots": cell.memory.slots}
        numbers |= {"width": cell.memory.width}
        return self.form(numbers, limits, weights)

    def _numbers(self, form: Form) -> dict[str, int]:
        """Sizes and options by name."""
        return dict(zip((*self.sizes, *self.options), form.numbers, strict=True))

    def leaf_shapes(self, form: Form) -> Shapes:
        """Those of the controller, the reads and the memory."""
        number = self._numbers(form)
        hidden, slots, width = number["hidden"], number["slots"], number["width"]
        shapes: Shapes = {"h": (hidden,)}
        if number["tardis"]:
            shapes["c"] = (hidden,)
        shapes |= {"reads": (number["key"] + width,), "memory": (slots, width), "read_weights": (1, slots)}
        shapes["filled"] = ()
        if number["query"]:
            shapes["usage"] = (slots,)
        return shapes

    def weight_shapes(self, form: Form, input_size: int) -> Shapes:
        """Those of the five maps, of the normalisations and of the comparison."""
        number = self._numbers(form)
        hidden, slots, width, query = (number[name] for name in ("hidden", "slots", "width", "query"))
        reads = number["key"] + width
        seen, shown = input_size + reads + hidden, reads * number["output_reads"]
        first, second = (3 * hidden + 2, hidden) if number["tardis"] else (hidden + reads, 4 * hidden + shown)
        asked = input_size + hidden + (slots if query else 0)
        units = first + second + hidden
        return {
            **_affine("address", query or slots, asked),
            **_affine("first", first, seen),
            **_affine("second", second, seen),
            **_affine("entry", width, hidden + input_size * number["entry_from_input"]),
            "shown": (query, width),
            "gain": (units,),
            "shift": (units,),
            "peephole": (3, hidden),
            "keyed": (slots, query),
            "score": (1, query),
            "norm_gain": (slots,),
            "norm_shift": (slots,),
            "keys": (slots, number["key"]),
            "temperature": (),
        }

    def output_shapes(self, form: Form) -> Shapes:
        """The controller's output and the reads."""
        number = self._numbers(form)
        reads = number["key"] + number["width"]
        shown = reads if number["output_reads"] and not number["tardis"] else 0
        return {"output": (number["hidden"] + shown,), "reads": (reads,)}

    def noise_shapes(self, form: Form) -> Shapes:
        """Of the choice of a slot, of TARDIS's two gates, and the masks of zoneout."""
        hidden = (self.number(form, "hidden"),)
        return {"address": (self.number(form, "slots"),), "gates": (2,), "kept_h": hidden, "kept_c": hidden}

    def noise_of(self, noise: Tree) -> dict[str, Tensor]:
        """The noise by name; the dropout before the readout is the readout's."""
        if noise is None:
            return {}
        found = {"address": getattr(noise.memory, "address", None)}
        kept, controller = getattr(noise.controller, "kept", None), noise.controller
        if kept is not None:
            controller = controller.controller
            found |= {f"kept_{name}": mask for name, mask in zip(kept._fields, kept, strict=True)}
        found["gates"] = getattr(controller, "gates", None)
        return {name: value for name, value in found.items() if value is not None}

    def check(self, form: Form) -> None:
        """Refuse a form that is none of a cell."""
        number, has = self._numbers(form), {*form.weights}
        needed = {"address", "first", "second", "temperature"}
        needed |= {"shown", "keyed", "score"} if number["query"] else set()
        needed |= {"gain", "shift"} if number["layer_norm"] else set()
        needed |= {"norm_gain", "norm_shift"} if number["normalisation"] == 2 else set()
        needed |= {"keys"} if number["key"] else set()
        flags = [number[name] for name in self.options if name not in ("query", "key", "normalisation")]
        known = needed <= has and all(flag in (0, 1) for flag in flags) and number["normalisation"] in (0, 1, 2)
        known = known and min(number["query"], number["key"]) >= 0
        # where there is no map to the entry, it is h; the options of the one controller are none of the other's
        known = known and ("entry" in has or (number["width"] == number["hidden"] and not number["entry_from_input"]))
        known = known and not (number["tardis"] and number["layer_norm"])
        if not known or (number["by_cell"] and not number["tardis"]):
            raise OptionError(f"the form {tuple(form)} is none of a cell: make it with form_of(cell).")

    def leaves_of(self, form: Form, state: Any) -> list[Tensor]:
        """The leaves of a state in the form's order; the kernel counts filled slots in its own number type."""
        of = {"reads": state.reads, "filled": state.memory.filled.to(state.reads.dtype)}
        of |= {name: getattr(state.controller, name) for name in state.controller._fields}
        return [of[name] if name in of else getattr(state.memory, name) for name in self.leaf_shapes(form)]

    def without_unused_gradient(self, form: Form, leaves: list[Tensor]) -> list[Tensor]:
        """Of a state, a step that reads sees no last reads, and their weighting in the penalty alone."""
        unused = {"reads"} if self.number(form, "penalty_gradient") else {"reads", "read_weights"}
        names = self.leaf_shapes(form)
        return [leaf.detach() if name in unused else leaf for name, leaf in zip(names, leaves, strict=True)]

    def state_from(self, form: Form, state: Any, leaves: Sequence[Tensor]) -> Any:
        """A state like `state` with these leaves."""
        new = dict(zip(self.leaf_shapes(form), leaves, strict=True))
        new["filled"] = new["filled"].to(state.memory.filled.dtype)
        controller = state.controller._replace(**{name: new[name] for name in state.controller._fields})
        memory = state.memory._replace(**{name: new[name] for name in state.memory._fields if name in new})
        return state._replace(controller=controller, memory=memory, reads=new["reads"])


def _affine(name: str, outputs: int, inputs: int) -> Shapes:
    return {name: (outputs, inputs), f"{name}_bias": (outputs,)}


def _unzoned(controller: Any) -> Any:
    return controller.controller if type(controller) is Zoneout else controller


def _controller(controller: Any) -> Parts:
    """Of a controller."""
    inner, zoneout = _unzoned(controller), controller if type(controller) is Zoneout else None
    limits = {"keep_h": 1.0, "keep_c": 1.0}
    if zoneout is not None:
        limits |= {f"keep_{name}": rate for name, rate in zoneout.keep._asdict().items()}
    if type(inner) is ARMINCell:
        if zoneout is not None and zoneout.output != "new":
            raise Unsupported("it shows ARMIN's output as it was before zoneout")
        weights: dict[str, Any] = {"first": inner.weight_ig, "first_bias": inner.bias_ig}
        weights |= {"second": inner.weight_go, "second_bias": inner.bias_go}
        if inner.layer_norm:
            weights |= {"gain": inner.gain, "shift": inner.shift}
        options = ("layer_norm", "squash_state", "squash_reads", "output_reads")
        return {name: getattr(inner, name) for name in options}, limits, weights
    if type(inner) is not TARDISCell:
        raise Unsupported(f"its controllers are ARMIN's and TARDIS's, not {type(inner).__name__}")
    limits["gate_temperature"] = inner.temperature
    weights = {
        "first": torch.cat([inner.weight, inner.weight_scale]),
        "first_bias": torch.cat([inner.bias, inner.bias_scale]),
        "second": inner.weight_candidate,
        "second_bias": inner.bias_candidate,
        "peephole": inner.peephole,
    }
    return {"tardis": 1, "zoned_output": zoneout is not None and zoneout.output == "zoned"}, limits, weights


def _interfaces(cell: Any) -> Parts:
    """Of the maps to the address and to the entry."""
    address, entry = cell.address, cell.entry
    if type(address) is not HalfInterface or type(entry) is not HalfInterface:
        raise Unsupported("it needs a HalfInterface for the address and for the entry")
    if type(address.linear) is not nn.Linear or address.sources not in (("x", "h"), ("x", "c")):
        raise Unsupported(f"it makes the address by a map of x and h, or of x and c, not of {address.sources}")
    mapped = type(entry.linear) is nn.Linear
    if entry.sources not in (("h",), ("x", "h")) or (not mapped and entry.sources != ("h",)):
        raise Unsupported(f"the entry is h, or a map of h or of x and h, not one of {entry.sources}")
    weights: dict[str, Any] = {"address": address.linear.weight, "address_bias": address.linear.bias}
    if mapped:
        weights |= {"entry": entry.linear.weight, "entry_bias": entry.linear.bias}
    return {"by_cell": address.sources[1] == "c", "entry_from_input": len(entry.sources) == 2}, {}, weights


def _addressing(memory: SlotHistory) -> Parts:
    """Of how a slot is chosen."""
    addressing: Any = memory.addressing
    if addressing.temperature.requires_grad:
        raise Unsupported("it has no gradient of the temperature")
    options, weights = {"one_hot": addressing.noisy}, {"temperature": addressing.temperature}
    if type(addressing) is AutoAddressing:
        return options, {}, weights
    if type(addressing) is not TardisAddressing:
        raise Unsupported(f"its addressings are ARMIN's and TARDIS's, not {type(addressing).__name__}")
    options |= {"query": addressing.address_size, "penalty_gradient": addressing.penalty_gradient}
    options |= {"penalise_first": addressing.order == "penalise_first"}
    options |= {"normalisation": NORMALISATIONS.index(addressing.normalisation)}
    weights |= {"from_usage": addressing.from_usage.weight, "shown": addressing.from_memory.weight}
    weights |= {"keyed": addressing.from_key(addressing.keys), "score": addressing.score.weight}
    if addressing.normalisation == "layer_norm":
        weights |= {"norm_gain": addressing.norm.weight, "norm_shift": addressing.norm.bias}
    if memory.read_keys:
        options["key"], weights["keys"] = addressing.key_size, addressing.keys
    return options, {"penalty": addressing.penalty}, weights
