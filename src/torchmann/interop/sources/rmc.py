"""The relational memory core in Sonnet 1.36, and the port L0SG/relational-rnn-pytorch.

Sizes: I input, slots, heads, head_size. Sonnet stores weights ``[in, out]`` and numbers its modules by order of
creation; the port stores them ``[out, in]`` and has one gain for each entry of the rows that it normalises together.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from torchmann.core.errors import DataError
from torchmann.interop.arrays import Shape
from torchmann.interop.source_model import Arrays, SourceModel
from torchmann.interop.sources.layouts import below, linear_shapes, under
from torchmann.memories import RelationalState
from torchmann.models import RMC

GATE_STYLES: dict[str | None, Literal["unit", "memory", "none"]] = {"unit": "unit", "memory": "memory", None: "none"}


class _Relational(SourceModel):
    """What both have in common: the sizes, and a state that is the memory alone."""

    preset: ClassVar[str]

    def sizes_by_role(self) -> dict[str, int]:
        """Widths: of the input, a slot, all queries, keys and values, the gates; and how many rows there are."""
        heads, head, key = self.size("heads"), self.size("head_size"), self.key_size()
        gates = {"unit": 2 * heads * head, "memory": 2, None: 0}[self.option("gate_style", *GATE_STYLES)]
        qkv = heads * (2 * key + head)
        return {
            "input": self.size("I"),
            "slot": heads * head,
            "qkv": qkv,
            "gates": gates,
            "rows": self.size("slots") + 1,
        }

    def key_size(self) -> int:
        """Of one head; the source takes the head size where none is named."""
        return self.options.get("key_size") or self.size("head_size")

    def depth(self, option: str) -> int:
        """How many rounds or layers."""
        value = self.option(option)
        if not isinstance(value, int) or value < 1:
            raise DataError(f"option {option!r} of {self.source} must be a positive integer, got {value!r}.")
        return value

    def built(self, **options: Any) -> RMC:
        """Our model with the sizes of the source."""
        return RMC(
            self.size("I"),
            slots=self.size("slots"),
            width=self.size("heads") * self.size("head_size"),
            heads=self.size("heads"),
            key_size=self.key_size(),
            attention_blocks=self.depth("num_blocks"),
            mlp_layers=self.depth("attention_mlp_layers"),
            gate_style=GATE_STYLES[self.option("gate_style", *GATE_STYLES)],
            preset=self.preset,
            **options,
        )

    def exported(self, state: Any) -> Arrays:
        """The memory."""
        return {"memory": state.memory.memory}

    def imported(self, arrays: Arrays, state: Any) -> Any:
        """The inverse of `exported`."""
        return state._replace(memory=RelationalState(arrays["memory"]))


class SonnetRMC(_Relational):
    """Every round has maps and norms of its own, the MLP is common to them."""

    source = "rmc"
    defaults: ClassVar = {"layer_norm_eps": 1e-5, "forget_bias": 1.0, "input_bias": 0.0}
    fixed = ("layer_norm_eps",)
    preset = "recommended"

    def modules(self) -> dict[str, str]:
        """Our modules below ``cell.memory`` and what they are called there, in the order of creation."""
        rounds = self.depth("num_blocks")
        found = {}
        for number in range(rounds):
            found[f"attention.{number}.qkv"] = f"linear_{number + 1}"
            for place, norm in enumerate(("qkv_norm", "attention_norm", "mlp_norm"), start=3 * number):
                found[f"attention.{number}.{norm}"] = f"layer_norm_{place}" if place else "layer_norm"
        for layer in range(self.depth("attention_mlp_layers")):
            found[f"mlp.{layer}"] = f"mlp/linear_{layer}"
        if self.option("gate_style", *GATE_STYLES):
            found["gates_from_input"] = f"linear_{rounds + 1}"
            found["gates_from_memory"] = f"linear_{rounds + 2}"
        return found

    def shapes(self) -> dict[str, Shape]:
        """The input's map, and by kind of module the rest."""
        size = self.sizes_by_role()
        shapes = linear_shapes("relational_memory/linear", size["input"], size["slot"])
        outputs = {"qkv": size["qkv"], "gates_from_input": size["gates"], "gates_from_memory": size["gates"]}
        for ours, theirs in self.modules().items():
            kind, name = ours.rpartition(".")[2], f"relational_memory/{theirs}"
            if kind.endswith("norm"):
                width = size["qkv"] if kind == "qkv_norm" else size["slot"]
                shapes |= {f"{name}/gamma": (width,), f"{name}/beta": (width,)}
            else:
                shapes |= linear_shapes(name, size["slot"], outputs.get(kind, size["slot"]))
        return shapes

    def build(self) -> RMC:
        """The gate biases are fixed numbers."""
        return self.built(forget_bias=self.constants["forget_bias"], input_bias=self.constants["input_bias"])

    def parameters(self, source: Arrays) -> Arrays:
        """Module by module."""
        source = below(source, "relational_memory")
        found = {"cell.interface.linear.weight": source["linear/w"].T, "cell.interface.linear.bias": source["linear/b"]}
        for ours, theirs in self.modules().items():
            if ours.endswith("norm"):
                found[f"cell.memory.{ours}.weight"] = source[f"{theirs}/gamma"]
                found[f"cell.memory.{ours}.bias"] = source[f"{theirs}/beta"]
            else:
                found[f"cell.memory.{ours}.weight"] = source[f"{theirs}/w"].T
                found[f"cell.memory.{ours}.bias"] = source[f"{theirs}/b"]
        return found


class PortedRMC(_Relational):
    """One round's weights for all rounds, one layer's for the whole MLP, joint layer norms, learned gate biases."""

    source = "rmc-l0sg"
    defaults: ClassVar = {"layer_norm_eps": 1e-5}
    fixed = ("layer_norm_eps",)
    start_gradients = False
    preset = "port"

    MODULES: ClassVar = {
        "attention.0.qkv": "qkv_projector",
        "attention.0.qkv_norm": "qkv_layernorm",
        "attention.0.attention_norm": "attended_memory_layernorm",
        "attention.0.mlp_norm": "attended_memory_layernorm2",
        "mlp.0": "attention_mlp.0",
        "gates_from_input": "input_gate_projector",
        "gates_from_memory": "memory_gate_projector",
    }

    def modules(self) -> dict[str, str]:
        """Our modules below ``cell.memory`` and what they are called there; without gates there are no maps to them."""
        gated = self.option("gate_style", *GATE_STYLES) is not None
        return {ours: theirs for ours, theirs in self.MODULES.items() if gated or not ours.startswith("gates")}

    def shapes(self) -> dict[str, Shape]:
        """Norms span all rows."""
        size = self.sizes_by_role()
        slot, rows = size["slot"], size["rows"]
        weights = {
            "qkv_projector": (size["qkv"], slot),
            "qkv_layernorm": (rows, size["qkv"]),
            "attended_memory_layernorm": (rows, slot),
            "attended_memory_layernorm2": (rows, slot),
            "attention_mlp.0": (slot, slot),
            "input_gate_projector": (size["gates"], slot),
            "memory_gate_projector": (size["gates"], slot),
        }
        shapes: dict[str, Shape] = {"input_projector.weight": (slot, size["input"]), "input_projector.bias": (slot,)}
        for theirs in self.modules().values():
            weight = weights[theirs]
            shapes[f"{theirs}.weight"] = weight
            shapes[f"{theirs}.bias"] = weight if theirs.endswith(("norm", "norm2")) else weight[:1]
        return shapes | ({"forget_bias": (), "input_bias": ()} if size["gates"] else {})

    def build(self) -> RMC:
        """As the port has it."""
        return self.built()

    def parameters(self, source: Arrays) -> Arrays:
        """Module by module; layouts are the same."""
        modules = {"cell.interface.linear": "input_projector"}
        modules |= {f"cell.memory.{ours}": theirs for ours, theirs in self.modules().items()}
        found: Arrays = {}
        for ours, theirs in modules.items():
            found |= {f"{ours}.{kind}": source[f"{theirs}.{kind}"] for kind in ("weight", "bias")}
        if "forget_bias" in source:
            found |= under("cell.memory", {name: source[name] for name in ("forget_bias", "input_bias")})
        return found
