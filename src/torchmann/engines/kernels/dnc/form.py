"""What of a cell the kernel needs to know: sizes, options, weights, the leaves of its state; or why it cannot run it.

Shapes: B batch, H hidden, R read heads, N slots, W width, K blocks.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from torchmann.cells import (
    ElmanCell,
    GRUCell,
    LayerNormLSTMCell,
    LinearInterface,
    LSTMCell,
    MemoryAugmentedCell,
    Normalised,
)
from torchmann.core.cell import DENSE, Cell
from torchmann.core.errors import OptionError
from torchmann.engines.kernels.dnc.library import CONTROLLERS, LIMITS, OPTIONS, READS, WEIGHTS, WRITES
from torchmann.functional import oneplus
from torchmann.functional.activations import identity
from torchmann.functional.content import cosine
from torchmann.memories import Distributed, DNCMemory
from torchmann.memories.writing import HOLD, HOLD_READ, HOLD_WRITE

KINDS: dict[Hashable, int] = {DENSE: READS | WRITES, HOLD: 0, HOLD_WRITE: READS, HOLD_READ: WRITES}


class Unsupported(OptionError):
    """The kernel cannot run this cell; the message says what of it, in a form that follows 'because'."""


class Form(NamedTuple):
    """A cell as the kernel sees it.

    Attributes:
        hidden, heads, slots, width, blocks: H, R, N, W, K.
        options: in the order of `OPTIONS`.
        limits: in the order of `LIMITS`.
        weights: the names, of `WEIGHTS`, of those that there are.
    """

    hidden: int
    heads: int
    slots: int
    width: int
    blocks: int
    options: tuple[int, ...]
    limits: tuple[float, ...]
    weights: tuple[str, ...]

    @property
    def feedback(self) -> bool:
        """Whether the controller sees the last reads."""
        return bool(self.options[OPTIONS.index("feedback")])

    @property
    def leaves(self) -> tuple[str, ...]:
        """The names, of `LEAVES`, of the leaves that the state has."""
        controller = ("h", "c") if "lstm" in self.controller else ("h",)
        links = ("precedence", "link") if self.options[OPTIONS.index("links")] else ()
        return (*controller, "reads", "memory", "usage", "write_weights", "read_weights", *links)

    @property
    def controller(self) -> str:
        """One of `CONTROLLERS`."""
        return CONTROLLERS[self.options[OPTIONS.index("controller")]]


def form_of(cell: Cell) -> tuple[Form, list[Tensor]]:
    """The form of a cell, and its weights in the form's order.

    Raises:
        Unsupported: the kernel cannot run the cell.
    """
    if type(cell) is not MemoryAugmentedCell:
        raise Unsupported(f"it runs a MemoryAugmentedCell with a DNC memory, not a {type(cell).__name__}")
    if cell.attention is not None:
        raise Unsupported("it has no cached writing")
    if type(cell.interface) is not LinearInterface or cell.interface.source != "output":
        raise Unsupported("it needs a LinearInterface from the controller's output")
    parts = (cell.controller, cell.memory, cell.interface)
    for module in (*parts, *(below for part in parts for below in part.children())):
        if module._forward_hooks or module._forward_pre_hooks:
            raise Unsupported("it would not call the forward hooks inside the cell")
    normalised = cell.controller if type(cell.controller) is Normalised else None
    controller: Any = cell.controller if normalised is None else normalised.controller
    whole: Any = cell.memory
    memory: Any = whole.block.memory if type(whole) is Distributed else whole
    options, limits, weights = _controller(controller)
    options |= _memory(whole, memory)
    options |= {"output_norm": normalised is not None, "feedback": cell.feedback}
    limits |= {
        "clip_interface": cell.interface.clip or 0.0,
        "epsilon": _epsilon(memory),
        "usage_floor": memory.usage_floor,
    }
    if normalised is not None:
        limits["output_norm_epsilon"] = normalised.norm.eps
        weights |= {"norm_gain": normalised.norm.weight, "norm_shift": normalised.norm.bias}
    weights |= {"interface": cell.interface.linear.weight, "interface_bias": cell.interface.linear.bias}
    present = {name: weight for name, weight in weights.items() if weight is not None}
    names = tuple(name for name in WEIGHTS if name in present)
    form = Form(
        controller.output_size,
        memory.reads,
        memory.slots,
        memory.width,
        1 if memory is whole else whole.blocks,
        tuple(int(options.get(name, 0)) for name in OPTIONS),
        tuple(float(limits.get(name, 0.0)) for name in LIMITS),
        names,
    )
    return form, [present[name] for name in names]


def _controller(controller: Any) -> tuple[dict[str, int], dict[str, float], dict[str, Tensor | None]]:
    """Options, limits and weights of a controller."""
    weights: dict[str, Tensor | None] = {}
    if type(controller) in (LSTMCell, LayerNormLSTMCell, ElmanCell):
        weights["bias_ih"] = controller.bias
    elif type(controller) is GRUCell:
        if not controller.reset_after:
            raise Unsupported("of GRUs it knows those with reset_after=True")
        weights |= {"bias_ih": controller.bias_ih, "bias_hh": controller.bias_hh}
    else:
        raise Unsupported(f"its controllers are LSTM, layer-norm LSTM, GRU and Elman, not {type(controller).__name__}")
    weights |= {"weight_ih": controller.weight_ih, "weight_hh": controller.weight_hh}
    if type(controller) is ElmanCell:
        return {"controller": 3, "relu": controller.nonlinearity == "relu"}, {}, weights
    if type(controller) is GRUCell:
        return {"controller": 2}, {}, weights
    limits = {"clip_state": controller.clip or 0.0}
    if type(controller) is LSTMCell:
        return {"controller": 0}, limits, weights
    weights |= {"gain": controller.gain, "shift": controller.shift}
    limits["norm_epsilon"] = controller.epsilon
    return {"controller": 1, "carry_normalised": controller.carry == "normalised"}, limits, weights


def _memory(whole: nn.Module, memory: Any) -> dict[str, int]:
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


def _epsilon(memory: DNCMemory) -> float:
    """That of the cosine similarity."""
    similarity = memory.similarity
    if similarity is cosine:
        return 1e-6
    if isinstance(similarity, partial) and similarity.func is cosine and similarity.keywords.get("epsilon", 0) > 0:
        return similarity.keywords["epsilon"]
    raise Unsupported("its similarity is 'cosine' with a positive epsilon")


def kinds_of(schedule: Sequence[Hashable]) -> list[int]:
    """The step kinds as numbers; empty if every step is dense.

    Raises:
        Unsupported: a kind that the kernel does not know.
    """
    unknown = next((kind for kind in schedule if kind not in KINDS), None)
    if unknown is not None:
        raise Unsupported(f"it has no step {unknown!r}")
    if all(kind == DENSE for kind in schedule):
        return []
    return [KINDS[kind] for kind in schedule]


def inside_gradient_transform() -> bool:
    """Whether a transform of `torch.func` other than vmap is at work."""
    stack = torch._C._functorch.get_interpreter_stack()
    return stack is not None and any(level.key() != torch._C._functorch.TransformType.Vmap for level in stack)


def leaves_of(form: Form, state: Any) -> list[Tensor]:
    """The leaves of a state in the form's order."""
    memory = state.memory.blocks if hasattr(state.memory, "blocks") else state.memory
    of = {"reads": state.reads, "h": state.controller.h, "c": getattr(state.controller, "c", None)}
    return [of[name] if name in of else getattr(memory, name) for name in form.leaves]


def without_unused_gradient(form: Form, leaves: list[Tensor]) -> list[Tensor]:
    """The leaves for a sequence that writes at its first step: the last write weighting is then seen by usage alone."""
    if form.options[OPTIONS.index("usage_gradient")]:
        return leaves
    return [leaf.detach() if name == "write_weights" else leaf for name, leaf in zip(form.leaves, leaves, strict=True)]


def state_from(form: Form, state: Any, leaves: Sequence[Tensor]) -> Any:
    """A state like `state` with these leaves."""
    new = dict(zip(form.leaves, leaves, strict=True))
    controller = state.controller._replace(**{name: new[name] for name in state.controller._fields})
    memory = state.memory.blocks if hasattr(state.memory, "blocks") else state.memory
    memory = memory._replace(**{name: new[name] for name in memory._fields if name in new})
    if hasattr(state.memory, "blocks"):
        memory = state.memory._replace(blocks=memory)
    return state._replace(controller=controller, memory=memory, reads=new["reads"])
