"""What the kernels with a controller share: its options, limits and weights, and what is around the memory.

Shapes: T time, B batch, H hidden, G rows of the gates.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from torch import Tensor

from torchmann.cells import ElmanCell, GRUCell, LayerNormLSTMCell, LSTMCell
from torchmann.core.cell import DENSE
from torchmann.core.state import Tree
from torchmann.engines.kernels.kernel import READS, WRITES, Kernel, Shapes, Unsupported
from torchmann.functional.content import cosine, cosine_outside, cosine_per_width, cosine_product
from torchmann.memories.writing import HOLD, HOLD_READ, HOLD_WRITE

KINDS = ("lstm", "layer_norm_lstm", "gru", "elman")
OPTIONS = ("controller", "carry_normalised", "relu")
LIMITS = ("clip_state", "norm_epsilon")
WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "gain", "shift")
SIMILARITY_LIMITS = ("similarity_inner", "similarity_added", "similarity_outer", "similarity_scale")

_EPSILONS: dict[Any, float] = {cosine: 1e-6, cosine_outside: 1e-6, cosine_per_width: 1e-6, cosine_product: 1e-3}


def controller_form(controller: Any) -> tuple[dict[str, int], dict[str, float], dict[str, Tensor | None]]:
    """Options, limits and weights of a controller of one layer, by the names above.

    Raises:
        Unsupported: the kernels do not have it.
    """
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


def controller_shapes(kind: int, input_size: int, hidden: int) -> Shapes:
    """The shapes of its weights."""
    gates = {"gru": 3, "elman": 1}.get(KINDS[kind], 4) * hidden
    return {
        "weight_ih": (gates, input_size),
        "weight_hh": (gates, hidden),
        "bias_ih": (gates,),
        "bias_hh": (gates,),
        "gain": (5, hidden),
        "shift": (5, hidden),
    }


def has_cell(kind: int) -> bool:
    """Whether its state has c beside h."""
    return "lstm" in KINDS[kind]


def whole(kind: int, weights: Sequence[str], prefix: str = "") -> bool:
    """Whether these are weights that such a controller can have."""
    needed = {"weight_ih", "weight_hh"} | ({"gain", "shift"} if kind == 1 else set())
    return kind in range(len(KINDS)) and {prefix + name for name in needed} <= {*weights}


def similarity_limits(similarity: Any, width: int) -> dict[str, float]:
    """A cosine similarity as ``k . m / (scale (|k| + added) (|m| + added) + outer)``, ``inner`` inside the norms.

    Raises:
        Unsupported: it is another similarity.
    """
    function, given = similarity, {}
    if isinstance(similarity, partial):
        function, given = similarity.func, similarity.keywords
    if function not in _EPSILONS:
        raise Unsupported(f"it has no similarity {getattr(function, '__name__', function)!r}")
    epsilon = given.get("epsilon", _EPSILONS[function])
    if epsilon <= 0:
        raise Unsupported(f"its similarities have a positive epsilon, not {epsilon}")
    inner, added = function is cosine, function in (cosine_outside, cosine_per_width)
    scale = width if function is cosine_per_width else 1
    values = (epsilon * inner, epsilon * added, epsilon, float(scale))
    return dict(zip(SIMILARITY_LIMITS, values, strict=True))


class MemoryAugmentedKernel(Kernel):
    """A kernel of a `MemoryAugmentedCell`: it gives what the controller gave and what was read at each step."""

    outputs = ("output", "reads")
    step_kinds: ClassVar[Mapping[Hashable, int]] = {
        DENSE: READS | WRITES,
        HOLD: 0,
        HOLD_WRITE: READS,
        HOLD_READ: WRITES,
    }

    def noise_of(self, noise: Tree) -> dict[str, Tensor]:
        """None: the dropout before the readout is the readout's."""
        if noise is not None and (noise.controller is not None or noise.memory is not None):
            raise Unsupported("it takes no noise inside a step, as of zoneout")
        return {}

    def readout(self, cell: Any, outputs: Sequence[Tensor], noise: Tree) -> Tensor:
        """The cell's own, after dropout."""
        output_TBH, reads_TBK = outputs
        return cell.readout(cell.bypass(output_TBH, noise), reads_TBK)
